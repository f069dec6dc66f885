package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/poll"
	"receiver/internal/service"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
)

// backfillFlags are the flags of backfill.
type backfillFlags struct {
	source            string
	take, dryRun, all bool
	limit             int
}

func newBackfill(a *app) *cobra.Command {
	var f backfillFlags
	cmd := &cobra.Command{
		Use:   "backfill",
		Short: "Recover callbacks that the platform no longer sends",
		Long: `backfill lists the callbacks that the platform has stopped sending and keeps in its queue, and
compares them with the events here. Then it asks the platform to send its queue again. Missing
callbacks arrive signed; known ones are answered as duplicates. The platform may not call at all
until it is asked.

With --take it makes the missing events itself, from what the queue returns over the
authenticated API. They are marked "ce-evidence: vendor-queue", since no signature proves them. If
the queue does not show the content, backfill polls the job instead ("ce-evidence: poll"). The
queue stays unchanged.

The queue belongs to the whole account. If part of it is for other receivers, nothing is sent
again without --all. The request includes the organization secret if one is configured.`,
		Example: "  receiver backfill --source crm --dry-run\n" +
			"  receiver backfill --source crm\n" +
			"  receiver backfill --source crm --take -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.limit < 1 {
				return usagef("--limit %d must be more than 0", f.limit)
			}
			if f.take && (f.dryRun || f.all) || f.dryRun && f.all {
				return usagef("--take, --dry-run and --all exclude each other")
			}
			return a.backfill(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.source, "source", "", "name of the configured source (default: the only one)")
	cmd.Flags().BoolVar(&f.take, "take", false, "make the missing events from the queue")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "list and compare, and change nothing")
	cmd.Flags().BoolVar(&f.all, "all", false, "send the queue again even if part of it is for others")
	cmd.Flags().IntVar(&f.limit, "limit", 10_000, "maximum number of queued callbacks to read")
	return cmd
}

func (a *app) backfill(ctx context.Context, f backfillFlags) error {
	client, name, cfg, err := a.client(f.source)
	if err != nil {
		return err
	}
	b := poll.Backfill{
		Source: name, Mode: f.mode(),
		Queue: platform.Queue(client, name, cfg.Sources[name], f.limit),
	}
	open := service.Opener.Read
	if b.Mode == poll.Take {
		open = service.Opener.Write
	}
	bus, done, err := open(a.opener(cfg), ctx)
	if err != nil {
		return err
	}
	defer done()
	if b.Store, err = service.NewLedger(cfg, bus, a.logger(cfg.Log)); err != nil {
		return err
	}
	found, err := b.Run(ctx)
	if err = backfillHint(err, cfg.Sources[name]); err != nil && len(found) == 0 {
		return err
	}
	if len(found) == f.limit {
		a.say("only --limit %d of the queued callbacks were read; use a higher one for more", f.limit)
	}
	return errors.Join(a.show().Waiting(found), err)
}

func (f backfillFlags) mode() poll.Mode {
	switch {
	case f.dryRun:
		return poll.Compare
	case f.take:
		return poll.Take
	case f.all:
		return poll.RedeliverAll
	}
	return poll.Redeliver
}

// backfillHint adds to an error what to do about it.
func backfillHint(err error, s config.Source) error {
	switch {
	case errors.Is(err, poll.ErrOthers):
		return fmt.Errorf("%w; use --all to send those again too, or --take to recover only those of this receiver", err)
	case errors.Is(err, submit.ErrUnauthorized) && s.OrganizationSecret.Empty():
		return fmt.Errorf("%w; the queue belongs to the account: set organization_secret of the source", err)
	}
	return err
}
