package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/submit"
)

func newJobsStatus(a *app) *cobra.Command {
	var j jobCommand
	cmd := &cobra.Command{
		Use:   "status JOB",
		Short: "Ask the platform for the status of a job",
		Long: `status asks the platform for a job. RESULT is the result that a finished event would have for
this answer.`,
		Example: "  receiver jobs status --source crm 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, _, err := j.client(a)
			if err != nil {
				return err
			}
			status, err := client.Status(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printStatus(status)
		},
	}
	j.flags(cmd)
	return cmd
}

func (a *app) printStatus(s submit.Status) error {
	return a.printTable(s, []string{"JOB", "STATUS", "OBJECT", "RECORDS", "FAILED", "RESULT", "ERROR"},
		[][]string{{s.ID, s.Status, s.Object, number(s.Records), number(s.Failed), cmp.Or(string(s.Result), "-"), s.Error}})
}

// number shows a count that may be unknown.
func number(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}
