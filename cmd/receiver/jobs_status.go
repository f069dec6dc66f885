package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/remote"
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
			ctx := cmd.Context()
			return answer(ctx, a, j.source, a.show().Status,
				func(r *remote.Receiver, source string) (submit.Status, error) { return r.Status(ctx, source, args[0]) },
				func() (submit.Status, error) {
					return asked(a, j.source, func(c *submit.Client) (submit.Status, error) { return c.Status(ctx, args[0]) })
				})
		},
	}
	j.flags(cmd)
	return cmd
}
