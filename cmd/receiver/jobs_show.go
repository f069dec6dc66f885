package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/joblist"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/remote"
	"receiver/internal/service"
)

func newJobsShow(a *app) *cobra.Command {
	var j jobCommand
	cmd := &cobra.Command{
		Use:   "show JOB",
		Short: "Show the state of one job and all of its events",
		Long: `show combines all events of a job: its state and result, the evidence for them, the time until
which the platform keeps its files, the next poll of the platform if the job is polled, and each
event with its evidence.`,
		Example: "  receiver jobs show 42114492\n  receiver jobs show --source crm -o json 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, id := cmd.Context(), args[0]
			return answer(ctx, a, j.source, a.show().Job,
				func(r *remote.Receiver, source string) (joblist.Job, error) { return r.Job(ctx, source, id, 0) },
				func() (joblist.Job, error) {
					return inSource(ctx, a, service.Opener.Read, j.source, func(_ *config.Config, store *publish.Store, name string) (joblist.Job, error) {
						shown, err := poll.Show(ctx, store, store, name, id)
						if err == nil && shown.State == "" {
							err = fmt.Errorf("job %s of source %s is not recorded here; ask the platform with `receiver jobs status`", id, name)
						}
						return shown, err
					})
				})
		},
	}
	j.flags(cmd)
	a.identityFlag(cmd)
	return cmd
}
