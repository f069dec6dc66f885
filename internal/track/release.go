package track

import (
	"context"
	"errors"
	"fmt"
	"time"

	"receiver/internal/job"
)

// ErrNotAside is returned by Release when no callback about the job is put aside.
// ATTEMPTS is bounded in bytes, so it may have been and be gone.
var ErrNotAside = errors.New("no callback about this job is quarantined")

// Release makes events of the quarantined callbacks about a job, as if they had been
// accepted when they came, and returns them. What was released before is returned with
// Existed. It returns ErrNotAside if there is nothing to release.
func (w *Watcher) Release(ctx context.Context, source, id string) ([]job.Stored, error) {
	events, err := w.release(ctx, source, id, time.Time{})
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("releasing job %s of source %s: %w", id, source, ErrNotAside)
	}
	return events, err
}

func (w *Watcher) release(ctx context.Context, source, id string, since time.Time) ([]job.Stored, error) {
	var events []job.Stored
	for a, err := range w.o.Store.Attempts(ctx, source, job.Quarantined, since) {
		if err != nil {
			return events, fmt.Errorf("looking for quarantined callbacks of source %s: %w", source, err)
		}
		e, ok := released(a)
		if !ok || e.Job.ID != id {
			continue
		}
		submitted, err := w.o.Store.Has(ctx, source, id, job.Submitted)
		if err != nil {
			return events, err
		}
		e.Unexpected = !submitted
		stored, err := w.tell(ctx, e)
		if err != nil {
			return events, err
		}
		if !stored.Existed {
			w.o.Count("release", source, string(stored.Kind))
		}
		events = append(events, stored)
	}
	return events, nil
}

// released makes the event of a callback that was put aside.
func released(a job.Attempt) (job.Event, bool) {
	v, err := job.Read(a.Body)
	if err != nil {
		return job.Event{}, false
	}
	e := job.Event{
		Kind: job.Progress, Source: a.Source, Job: v, Time: a.Receipt.Received,
		Evidence: job.ByCallback, Receipt: &a.Receipt, Data: a.Body,
	}
	if v.Class().Terminal() {
		e.Kind = job.Finished
	}
	return e, true
}
