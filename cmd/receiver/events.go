package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/remote"
	"receiver/internal/service"
	"receiver/internal/service/records"
)

func newEvents(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Watch events as they are stored",
		Example: "  receiver events watch",
	}
	cmd.AddCommand(newEventsWatch(a))
	return cmd
}

func newEventsWatch(a *app) *cobra.Command {
	var subject, since string
	var count int
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print events as they are stored, until Ctrl-C",
		Long: `watch prints the messages of a stream: first the stored ones since --since, then each new one.
Subjects that begin with "attempts." are refused and duplicate callbacks. With -o json, data
that cannot be decrypted is printed in Base64 and marked hidden.

With --url or --context it prints events of jobs only, and continues with the next event after a
lost connection. Only the store knows when an event was stored: lines begin with the time of the
event, and JSON has neither "stored" nor headers of NATS.`,
		Example: "  receiver events watch\n" +
			"  receiver events watch --subject 'jobs.*.*.finished' --since 24h -o json\n" +
			"  receiver events watch --subject 'attempts.>'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			from, err := timeFlag("since", since, now, now)
			if err != nil {
				return err
			}
			if err := records.CheckSubject(subject, true); err != nil {
				return usagef("--subject %w", err)
			}
			r, err := a.receiver()
			if err != nil {
				return err
			}
			if r != nil {
				return a.watchByHTTP(cmd.Context(), r, subject, from, since == "", count)
			}
			return a.withStore(cmd.Context(), service.Opener.Read, func(cfg *config.Config, store *publish.Store) error {
				if err := records.CheckSource(cmd.Context(), store, subject, cfg.SourceNames()); err != nil {
					return usagef("--subject %q: %w", subject, err)
				}
				a.say("watching %s; stop with Ctrl-C", subject)
				return a.watch(cmd.Context(), store, publish.Watch{Subjects: []string{subject}, Since: from, Follow: true}, count)
			})
		},
	}
	a.identityFlag(cmd)
	cmd.Flags().StringVar(&subject, "subject", job.AllJobs, "subject to watch, with NATS wildcards")
	cmd.Flags().StringVar(&since, "since", "", "first message: a duration ago (24h) or a time (2026-11-23T00:00:00Z)\n(default: now)")
	cmd.Flags().IntVar(&count, "count", 0, "stop after this number of events; 0 is no limit")
	return cmd
}

func (a *app) watch(ctx context.Context, store *publish.Store, w publish.Watch, count int) error {
	seen := 0
	for m, err := range store.Messages(ctx, w) {
		if err != nil {
			return err
		}
		if err := a.show().Message(records.JSON(m)); err != nil {
			return err
		}
		if seen++; seen == count {
			return nil
		}
	}
	return nil
}

// watchByHTTP is watch for a receiver that is asked by HTTP.
func (a *app) watchByHTTP(ctx context.Context, r *remote.Receiver, subject string, from time.Time, onlyNew bool, count int) error {
	p, wanted, err := records.Following(subject)
	if err != nil {
		return usagef("--subject %w", err)
	}
	for _, name := range p.Source {
		if err := r.Known(ctx, name); err != nil {
			return err
		}
	}
	if !onlyNew {
		p.Since = from.UTC().Format(time.RFC3339Nano)
	}
	seen := 0
	watching := func() { a.say("watching %s; stop with Ctrl-C", subject) }
	for e, err := range r.Follow(ctx, p, watching, func(note string) { a.say("%s", note) }) {
		if err == nil && !wanted(e.Subject) {
			continue
		}
		if err == nil && e.BodyMissing == api.EventBodyMissingLarge {
			e, err = r.Whole(ctx, e)
		}
		if err == nil {
			err = a.show().Message(records.Received(e))
		}
		if err != nil {
			return err
		}
		if seen++; seen == count {
			return nil
		}
	}
	return nil
}
