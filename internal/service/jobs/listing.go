package jobs

import (
	"context"
	"iter"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/publish"
	"receiver/internal/remote"
	"receiver/internal/service/records"
)

// Listing is a page of jobs and what changes from then on.
type Listing struct {
	Page joblist.Page
	// Changes are the jobs that fit the query, each time that one changes, until ctx ends. They are
	// read once.
	Changes iter.Seq2[joblist.Listed, error]
}

// InStore lists jobs from a stream. A query that cannot be answered is a config.UseError.
func InStore(ctx context.Context, cfg *config.Config, store *publish.Store, p *joblist.Projection, q joblist.Query) (l Listing, err error) {
	if err := p.Fill(ctx); err != nil {
		return l, err
	}
	if l.Page, err = p.List(q); err != nil {
		return l, config.UseErrorf("%w", err)
	}
	if len(l.Page.Jobs) == 0 && q.Source != "" {
		if err := records.CheckSource(ctx, store, job.Pattern(q.Source, "", ""), cfg.SourceNames()); err != nil {
			return l, config.UseErrorf("--source: %w", err)
		}
	}
	l.Changes = func(yield func(joblist.Listed, error) bool) {
		changed, err := p.Follow(ctx, q)
		if err != nil {
			yield(joblist.Listed{}, config.UseErrorf("%w", err))
			return
		}
		running, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(running)
		}()
		defer func() {
			cancel()
			<-done
		}()
		for j := range changed {
			if !yield(j, nil) {
				return
			}
		}
	}
	return l, nil
}

// ByHTTP lists the jobs of another receiver.
func ByHTTP(ctx context.Context, r *remote.Receiver, q joblist.Query) (l Listing, err error) {
	if l.Page, err = r.List(ctx, q, 0); err != nil {
		return l, err
	}
	if len(l.Page.Jobs) == 0 && q.Source != "" {
		if err := r.Known(ctx, q.Source); err != nil {
			return l, err
		}
	}
	l.Changes = r.Changes(ctx, q, l.Page.Last)
	return l, nil
}
