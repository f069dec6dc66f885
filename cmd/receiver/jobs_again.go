package main

import (
	"context"

	"github.com/spf13/cobra"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/publish"
	"receiver/internal/remote"
	"receiver/internal/service"
	"receiver/internal/service/jobs"
	"receiver/internal/submit"
	"receiver/internal/web/apiserver"
)

func newJobsPoll(a *app) *cobra.Command {
	var j jobCommand
	cmd := &cobra.Command{
		Use:   "poll JOB",
		Short: "Have the platform polled for a job now",
		Long: `poll has the running receivers poll the platform for a job next, whatever its schedule is. If the
job has ended, its finished event follows. The job is printed as it was before.`,
		Example: "  receiver jobs poll --source crm 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, id := cmd.Context(), args[0]
			return answer(ctx, a, j.source, a.show().Job,
				func(r *remote.Receiver, source string) (joblist.Job, error) { return r.Poll(ctx, source, id, "") },
				func() (joblist.Job, error) {
					return inSource(ctx, a, service.Opener.Write, j.source, func(cfg *config.Config, store *publish.Store, name string) (joblist.Job, error) {
						actions, err := a.actions(cfg, store, operatorFlags{})
						if err == nil {
							err = actions.Poll(ctx, name, id)
						}
						if err != nil {
							return joblist.Job{}, err
						}
						return actions.Reader.Job(ctx, name, id, false, 0)
					})
				})
		},
	}
	j.flags(cmd)
	return cmd
}

func newJobsReplay(a *app) *cobra.Command {
	var j jobCommand
	var who operatorFlags
	var kind string
	cmd := &cobra.Command{
		Use:   "replay JOB",
		Short: "Publish an event of a job once more",
		Long: `replay is for a consumer that has lost an event: it publishes the event once more, on replays. and
the subject of the event, in the stream REPLAYS. First it records the operator and the reason in
the stream ACTIONS.`,
		Example: "  receiver jobs replay --source crm 42114492\n  receiver jobs replay --source crm --kind errors 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, id := cmd.Context(), args[0]
			return answer(ctx, a, j.source, a.show().Replay,
				func(r *remote.Receiver, source string) (api.Replay, error) {
					return r.Replay(ctx, source, id, job.Kind(kind), who.reason)
				},
				func() (api.Replay, error) {
					return inSource(ctx, a, service.Opener.Write, j.source, func(cfg *config.Config, store *publish.Store, name string) (api.Replay, error) {
						actions, err := a.actions(cfg, store, who)
						if err != nil {
							return api.Replay{}, err
						}
						return actions.Replay(ctx, apiserver.By{Reason: who.reason}, name, id, job.Kind(kind))
					})
				})
		},
	}
	j.flags(cmd)
	who.flags(cmd)
	cmd.Flags().StringVar(&kind, "kind", string(job.Finished), "kind of the event")
	return cmd
}

// actions are those of the HTTP API, done here by the operator.
func (a *app) actions(cfg *config.Config, store *publish.Store, who operatorFlags) (jobs.Actions, error) {
	l, err := service.NewLedger(cfg, store, a.logger(cfg.Log))
	if err != nil {
		return jobs.Actions{}, err
	}
	listed := joblist.NewProjection(joblist.Options{Briefs: store, Snapshots: store, Log: a.logger(cfg.Log)})
	return jobs.Actions{
		Reader: jobs.Reader{Listed: listed, Store: store, Platform: jobs.Platform{
			Clients: func(string) (*submit.Client, error) { return nil, nil }, // the receiver polls, not this command
			Known:   func(source string) bool { _, known := cfg.Sources[source]; return known },
		}},
		Watcher: l.Watcher,
		Record: func(ctx context.Context, action job.Action, details map[string]any) error {
			return service.RecordAction(ctx, store, who.action(action.What), details)
		},
	}, nil
}
