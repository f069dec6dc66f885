package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/remote"
	"receiver/internal/service"
)

func newJobsRelease(a *app) *cobra.Command {
	var j jobCommand
	var who operatorFlags
	cmd := &cobra.Command{
		Use:   "release JOB",
		Short: "Publish the quarantined callbacks of a job",
		Long: `release publishes the callbacks of a job that was not submitted here and that are quarantined
(unexpected_jobs: quarantine), as if they had been accepted on arrival. First it records the
operator and the reason in the stream ACTIONS. A second release changes nothing.`,
		Example: "  receiver jobs release --source crm 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, id := cmd.Context(), args[0]
			return answer(ctx, a, j.source, a.show().Events,
				func(r *remote.Receiver, source string) ([]api.Event, error) {
					return r.Release(ctx, source, id, who.reason)
				},
				func() ([]api.Event, error) {
					return inSource(ctx, a, service.Opener.Write, j.source, func(cfg *config.Config, store *publish.Store, name string) ([]api.Event, error) {
						return a.release(ctx, cfg, store, name, id, who.action(job.ActionRelease))
					})
				})
		},
	}
	j.flags(cmd)
	who.flags(cmd)
	a.identityFlag(cmd)
	return cmd
}

func (a *app) release(ctx context.Context, cfg *config.Config, store *publish.Store, source, id string, action job.Action) ([]api.Event, error) {
	l, err := service.NewLedger(cfg, store, a.logger(cfg.Log))
	if err != nil {
		return nil, err
	}
	if err := service.RecordAction(ctx, store, action, map[string]any{"source": source, "job": id}); err != nil {
		return nil, err
	}
	released, err := l.Watcher.Release(ctx, source, id)
	switch {
	case errors.Is(err, poll.ErrNotQuarantined):
		return nil, fmt.Errorf("source %[1]s: %[2]w; see `receiver events watch --subject 'attempts.%[1]s.quarantined' --since 720h`", source, err)
	case errors.Is(err, poll.ErrEncrypted):
		return nil, fmt.Errorf("%w; give --identity-file, or set encryption.identity", err)
	case err != nil:
		return nil, err
	}
	events := make([]api.Event, len(released))
	for i, e := range released {
		events[i] = api.NewEvent(e)
	}
	return events, nil
}
