package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newJobsErrors(a *app) *cobra.Command {
	var j jobCommand
	var limit int
	cmd := &cobra.Command{
		Use:     "errors JOB",
		Short:   "Print why rows of a job failed, as the platform tells",
		Example: "  receiver jobs errors --source crm 42114492 --limit 20",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, _, err := j.client(a)
			if err != nil {
				return err
			}
			for row, err := range client.Errors(cmd.Context(), args[0], limit) {
				if err != nil {
					return err
				}
				if a.output == "json" {
					err = printJSON(a.out, row)
				} else {
					_, err = fmt.Fprintln(a.out, printable(row.Text))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	j.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 0, "print so many at most; 0 means all")
	return cmd
}
