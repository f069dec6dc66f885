package records

import (
	"context"
	"iter"

	"receiver/api"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/remote"
)

// Trail is where records are listed from: the streams of a store, or a receiver that is asked by
// HTTP. All must be set.
type Trail struct {
	// Entries gives what a query wants, in the order in which it was stored.
	Entries func(context.Context, Query) iter.Seq2[auditlog.Entry, error]
	// Older is as Older.
	Older func(context.Context, Query) (api.OlderRecords, error)
	// Known returns an error for the name of a source that is neither configured nor recorded.
	Known func(ctx context.Context, source string) error
}

// Streams returns the trail of a store with configured sources.
func Streams(bus *publish.Store, sources []string) Trail {
	return Trail{
		Entries: func(ctx context.Context, q Query) iter.Seq2[auditlog.Entry, error] { return Entries(ctx, bus, q) },
		Older:   func(ctx context.Context, q Query) (api.OlderRecords, error) { return Older(ctx, bus, q) },
		Known: func(ctx context.Context, source string) error {
			if err := CheckSource(ctx, bus, job.Pattern(source, "", ""), sources); err != nil {
				return config.UseErrorf("--source: %w", err)
			}
			return nil
		},
	}
}

// By returns the trail of a receiver that is asked by HTTP.
func By(r *remote.Receiver) Trail {
	return Trail{
		Entries: func(ctx context.Context, q Query) iter.Seq2[auditlog.Entry, error] {
			return r.Callbacks(ctx, q.Parameters())
		},
		Older: func(ctx context.Context, q Query) (api.OlderRecords, error) { return r.Older(ctx, q.Actions) },
		Known: r.Known,
	}
}

// Left is what a list left out.
type Left struct {
	api.OlderRecords     // before the beginning that the query did not say
	Stopped          int // the number of entries after which the list ended; 0 if it has all
}

// List calls add for what a query wants. A source of the query that is not known is an error if
// nothing is wanted.
func (t Trail) List(ctx context.Context, q Query, add func(auditlog.Entry) error) (left Left, err error) {
	listed := 0
	for e, err := range t.Entries(ctx, q) {
		if err == nil {
			err = add(e)
		}
		if err != nil {
			return left, err
		}
		if listed++; listed == q.Limit {
			left.Stopped = listed
			break
		}
	}
	if listed == 0 {
		err = t.known(ctx, q)
	}
	if err == nil && q.Since == "" {
		left.OlderRecords, err = t.Older(ctx, q)
	}
	return left, err
}

// known returns an error if a query names a source that is not known.
func (t Trail) known(ctx context.Context, q Query) error {
	for _, source := range q.Filter.Sources {
		if err := t.Known(ctx, source); err != nil {
			return err
		}
	}
	return nil
}
