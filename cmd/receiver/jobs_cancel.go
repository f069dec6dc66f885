package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/remote"
	"receiver/internal/service"
	"receiver/internal/submit"
)

func newJobsCancel(a *app) *cobra.Command {
	var j jobCommand
	var who operatorFlags
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "Ask the platform to cancel a job",
		Long: `cancel records the operator and the reason in the stream ACTIONS, and then asks the platform to
end the job. The printed status may still be that of a running job; the finished event follows
when the platform calls back.`,
		Example: "  receiver jobs cancel --source crm 42114492\n  receiver jobs cancel --source crm --reason 'wrong file' 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, id := cmd.Context(), args[0]
			return answer(ctx, a, j.source, a.show().Status,
				func(r *remote.Receiver, source string) (submit.Status, error) {
					return r.Cancel(ctx, source, id, who.reason)
				},
				func() (s submit.Status, err error) {
					client, cfg, err := j.client(a)
					if err != nil {
						return s, err
					}
					// The store is closed while the platform answers, so that a receiver can start.
					if err := a.openStore(ctx, cfg, service.Opener.Write, func(store *publish.Store) error {
						return service.RecordAction(ctx, store, who.action(job.ActionCancel), map[string]any{"source": j.source, "job": id})
					}); err != nil {
						return s, err
					}
					return client.Cancel(ctx, id)
				})
		},
	}
	j.flags(cmd)
	who.flags(cmd)
	return cmd
}
