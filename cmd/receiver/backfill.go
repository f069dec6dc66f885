package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/submit"
	"receiver/internal/track"
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
		Short: "Bring in callbacks that the platform has given up to send",
		Long: `backfill lists the callbacks that the platform has given up to send and keeps in its
queue, compares them with the events here, and asks the platform to send its queue again:
what is missing then comes as a signed callback, and what is here already is answered as
a duplicate. The platform may not call at all until it was asked.

With --take it makes events of what is missing itself, by what the queue tells over the
authenticated API. They are marked ce-evidence: vendor-queue, since no signature proves
them; where the queue does not show what it holds, the platform is asked after the job
(ce-evidence: poll). The queue stays as it is.

The queue is that of the whole account. If part of it is for others, nothing is sent
again without --all. The call takes the organization secret, too, if the account has one.`,
		Example: "  receiver backfill --source crm --dry-run\n" +
			"  receiver backfill --source crm\n" +
			"  receiver backfill --source crm --take -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.limit < 1 {
				return usagef("--limit %d is not above 0", f.limit)
			}
			if f.take && (f.dryRun || f.all) || f.dryRun && f.all {
				return usagef("--take, --dry-run and --all exclude each other")
			}
			return a.backfill(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.source, "source", "", "configured source (may be left out if there is one only)")
	cmd.Flags().BoolVar(&f.take, "take", false, "make events of what is missing, instead of having it sent again")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "list and compare, and do nothing")
	cmd.Flags().BoolVar(&f.all, "all", false, "have the queue sent again though part of it is for others")
	cmd.Flags().IntVar(&f.limit, "limit", 10_000, "how many queued callbacks are looked at")
	return cmd
}

func (a *app) backfill(ctx context.Context, f backfillFlags) error {
	client, name, cfg, err := a.client(f.source)
	if err != nil {
		return err
	}
	b := track.Backfill{
		Source: name, Mode: f.mode(),
		Queue: &platformQueue{client: client, source: name, base: cfg.Sources[name].CallbackBaseURL, limit: f.limit},
	}
	open := a.read
	if b.Mode == track.Take {
		open = a.write
	}
	bus, done, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	if b.Store, err = a.ledgerOf(cfg, bus); err != nil {
		return err
	}
	found, err := b.Run(ctx)
	if err = backfillHint(err, cfg.Sources[name]); err != nil && len(found) == 0 {
		return err
	}
	if len(found) == f.limit {
		a.say("only the first %d queued callbacks were looked at; --limit looks at more", f.limit)
	}
	return errors.Join(a.printBackfill(found), err)
}

func (f backfillFlags) mode() track.Mode {
	switch {
	case f.dryRun:
		return track.Compare
	case f.take:
		return track.Take
	case f.all:
		return track.RedeliverAll
	}
	return track.Redeliver
}

// backfillHint adds to an error what to do about it.
func backfillHint(err error, s config.Source) error {
	switch {
	case errors.Is(err, track.ErrOthers):
		return fmt.Errorf("%w; --all has them sent again too, --take takes in ours without", err)
	case errors.Is(err, submit.ErrUnauthorized) && s.OrganizationSecret.Empty():
		return fmt.Errorf("%w; the queue belongs to the account: set the source's organization_secret", err)
	}
	return err
}

// platformQueue is the platform's queue as one source sees it.
type platformQueue struct {
	client       *submit.Client
	source, base string
	limit        int
}

// Queued gives the callbacks in the queue.
func (q *platformQueue) Queued(ctx context.Context) iter.Seq2[track.Queued, error] {
	return func(yield func(track.Queued, error) bool) {
		for d, err := range q.client.Deliveries(ctx, submit.Queued, q.limit) {
			if !yield(track.Queued{
				ID: d.ID, Job: d.JobID, Here: here(d.URL, q.base, q.source), Body: d.Body, Attempts: d.Attempts, Created: d.Created,
			}, err) {
				return
			}
		}
	}
}

// Release has the queue sent again.
func (q *platformQueue) Release(ctx context.Context) (int, error) {
	released, err := q.client.Release(ctx, submit.Queued)
	return len(released), err
}

// Status returns the platform's answer to a question after a job.
func (q *platformQueue) Status(ctx context.Context, id string) ([]byte, error) {
	s, err := q.client.Status(ctx, id)
	return s.Raw, err
}

// here reports whether a callback address is one of the source: below our own base or,
// if none is configured, with the path of one.
func here(address, base, source string) bool {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return false
	}
	path := "/callbacks/" + source
	rest := ""
	if base != "" {
		var below bool
		if rest, below = strings.CutPrefix(address, base+path); !below {
			return false
		}
	} else if _, after, found := strings.Cut(u.Path, path); found {
		rest = after
	} else {
		return false
	}
	return rest == "" || strings.ContainsAny(rest[:1], "/?#")
}

func (a *app) printBackfill(found []track.Waiting) error {
	if a.output == "json" {
		if found == nil {
			found = []track.Waiting{}
		}
		return printJSON(a.out, found)
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(a.out, "the platform's queue is empty")
		return err
	}
	rows := make([][]string, 0, len(found))
	for _, w := range found {
		what := w.Done
		if w.Error != "" {
			what = w.Error
		}
		rows = append(rows, []string{
			w.Delivery, dash(w.Job), dash(w.Status), moment(w.Created), number(w.Attempts), string(w.State),
			dash(string(w.Evidence)), sequence(w.Sequence), dash(what),
		})
	}
	return table(a.out, []string{"DELIVERY", "JOB", "STATUS", "CREATED", "ATTEMPTS", "HERE", "EVIDENCE", "SEQ", "DONE"}, rows)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func sequence(n uint64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
