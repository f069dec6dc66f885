package logs

import (
	"context"
	"errors"
	"iter"
	"time"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// StoringTime is the longest time from the arrival of a callback until it is stored: in the queue
// of refused ones, each batch may take its timeout.
func StoringTime(cfg *config.Config) time.Duration {
	l := cfg.Limits
	batches := time.Duration(l.AttemptQueue/publish.AttemptsAtOnce + 2)
	return auditlog.StoringTime + batches*l.PublishTimeout + time.Duration(l.AttemptQueue)*time.Second/time.Duration(max(l.AttemptRate, 1))
}

// Dates compares the times of the records of a store. Only an external cluster is the hub of edges.
func Dates(cfg *config.Config) *auditlog.Dates {
	return auditlog.NewDates(StoringTime(cfg)).NoHub(cfg.NATS.Embeds())
}

// lookupTimeout is how long the sealer waits for the attempts that may explain a record, which it
// asks for once in lookupPause at most: `audit verify` asks for all.
const (
	lookupTimeout = 5 * time.Second
	lookupPause   = 3 * time.Second
)

// inspect returns what a sealer inspects the times of records with.
func inspect(ctx context.Context, cfg *config.Config, bus *publish.Store) func(audit.Record) error {
	dates := Dates(cfg)
	ctx = context.WithoutCancel(ctx)
	var asked time.Time
	return func(r audit.Record) error {
		t, err := dates.Judge(r)
		if !errors.Is(err, auditlog.ErrLate) {
			return err
		}
		if time.Since(asked) < lookupPause {
			return nil
		}
		asking, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		defer func() { asked = time.Now() }()
		return attempts(asking, bus).Explain(t, err)
	}
}

// attempts reads the stream of attempts.
func attempts(ctx context.Context, bus *publish.Store) auditlog.Attempts {
	return auditlog.Attempts{
		Since: func(source string, verdicts []string, since time.Time) iter.Seq2[audit.Record, error] {
			var subjects []string
			for _, v := range verdicts {
				subjects = append(subjects, job.Attempt{Source: source, Verdict: v}.Subject())
			}
			return func(yield func(audit.Record, error) bool) {
				for m, err := range bus.Messages(ctx, publish.Watch{Stream: conn.AttemptsStream, Subjects: subjects, Since: since}) {
					if !yield(Record(conn.AttemptsStream, m), err) {
						return
					}
				}
			}
		},
		Oldest: func() (time.Time, bool, error) {
			extent, err := bus.Extent(ctx, conn.AttemptsStream)
			return extent.Oldest, extent.First <= 1, err
		},
	}
}
