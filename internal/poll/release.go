package poll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"receiver/internal/job"
)

// ErrNotQuarantined is returned by Release when no callback about the job is quarantined.
// ATTEMPTS is bounded in bytes, so it may have been and be gone.
var ErrNotQuarantined = errors.New("no callback of this job is quarantined")

// ErrEncrypted is returned by Release when no callback about the job can be found because some are
// kept encrypted and cannot be read: the id of their job is in the body.
var ErrEncrypted = errors.New("quarantined callbacks are encrypted and cannot be read here")

// Release makes events of the quarantined callbacks about a job, as if they had been accepted when
// they came, and returns them. Callbacks released before are returned with Existed. It returns
// ErrNotQuarantined if there is nothing to release, and ErrEncrypted if it cannot decrypt a
// callback.
func (w *Watcher) Release(ctx context.Context, source, id string) ([]job.Stored, error) {
	events, hidden, err := w.release(ctx, source, id, time.Time{})
	switch {
	case err == nil && len(events) == 0 && hidden > 0:
		err = fmt.Errorf("releasing job %s of source %s: %d %w", id, source, hidden, ErrEncrypted)
	case err == nil && len(events) == 0:
		err = fmt.Errorf("releasing job %s of source %s: %w", id, source, ErrNotQuarantined)
	}
	return events, err
}

// release also returns how many callbacks of the source could not be read.
func (w *Watcher) release(ctx context.Context, source, id string, since time.Time) (events []job.Stored, hidden int, err error) {
	for a, err := range w.o.Store.Attempts(ctx, source, job.Quarantined, since) {
		if err != nil {
			return events, hidden, fmt.Errorf("looking for quarantined callbacks of source %s: %w", source, err)
		}
		if a.Hidden {
			hidden++
			continue
		}
		e, ok := released(a)
		if !ok || e.Job.ID != id {
			continue
		}
		submitted, err := w.o.Store.Has(ctx, source, id, job.Submitted)
		if err != nil {
			return events, hidden, err
		}
		e.Unexpected = !submitted
		stored, err := w.publishEnd(ctx, e)
		if err != nil {
			return events, hidden, err
		}
		if !stored.Existed {
			w.o.Count("release", source, string(stored.Kind))
		}
		events = append(events, stored)
	}
	return events, hidden, nil
}

// released makes the event of a quarantined callback.
func released(a job.Attempt) (job.Event, bool) {
	v, err := job.Read(a.Body)
	if err != nil {
		return job.Event{}, false
	}
	e := job.Event{
		Kind: job.Progress, Source: a.Source, Job: v, Time: a.Receipt.Received,
		Evidence: job.ByCallback, Receipt: &a.Receipt, Data: a.Body,
	}
	if v.Over() {
		e.Kind = job.Finished
	}
	return e, true
}
