package poll

import (
	"context"
	"math/rand/v2"
	"time"

	"receiver/internal/job"
)

// react does what a submission asks for, and returns when it wants the event again. All it
// does is to write into the stream WATCH; what takes time, or must be tried again, is a
// watch's matter.
func (w *Watcher) react(ctx context.Context, e job.Stored, _ uint64) time.Duration {
	err := w.submitted(ctx, e)
	if err == nil {
		return 0
	}
	if ctx.Err() == nil {
		w.o.Log.Warn().Err(err).Str("subject", e.Subject()).Uint64("sequence", e.Sequence).Msg("processing a submission failed and is tried again")
	}
	return jittered(storePause)
}

// submitted begins the watch of a job, and releases a faster callback from quarantine.
func (w *Watcher) submitted(ctx context.Context, e job.Stored) error {
	schedule := w.schedule(e.Source, e.Job.Object)
	watch := job.Watch{
		Source: e.Source, Job: e.Job.ID, Object: e.Job.Object, Since: e.Time, Next: schedule.first(e.Time), Status: e.Job.Status,
	}
	if now := w.o.Now(); !now.Before(schedule.end(watch, now)) {
		// No receiver ran all the while: the platform is asked once, before the job is said to
		// be lost. There may be many such jobs.
		if said, err := w.hasOutcome(ctx, e); said || err != nil {
			return err
		}
		watch.Next = now.Add(rand.N(schedule.Retry)) //nolint:gosec // nobody gains by guessing when we ask
	}
	if _, err := w.o.Store.PutWatch(ctx, watch); err != nil {
		return err
	}
	w.releaseEarly(ctx, watch)
	return nil
}

// hasOutcome reports whether there is an event that says what became of a submitted job.
func (w *Watcher) hasOutcome(ctx context.Context, e job.Stored) (bool, error) {
	for _, k := range []job.Kind{job.Finished, job.Lost} {
		if there, err := w.o.Store.Has(ctx, e.Source, e.Job.ID, k); there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// skew is the largest difference between the clocks of the submitting and the storing process.
const skew = time.Minute

// releaseEarly releases the callbacks about a submitted job that were quarantined because they
// overtook the answer to its submission. A failed release is tried again at the next poll. A
// callback that is encrypted and cannot be read stays quarantined; the platform is polled anyway.
func (w *Watcher) releaseEarly(ctx context.Context, watch job.Watch) {
	if !w.o.Quarantine(watch.Source) {
		return
	}
	if _, _, err := w.release(ctx, watch.Source, watch.Job, watch.Since.Add(-skew)); err != nil && ctx.Err() == nil {
		w.o.Log.Warn().Err(err).Str("source", watch.Source).Str("job", watch.Job).Msg("releasing quarantined callbacks failed; the next poll tries again")
	}
}

// Publish stores an event as the store does, and sees to it that the platform is asked
// about what the event leaves open: a word that nobody knows, how the job ended, or which
// rows failed.
//
// The writer of such an event does this itself. The other way, handing every event back
// to be checked, costs more than the event did, for the few that leave anything open.
func (w *Watcher) Publish(ctx context.Context, e job.Event) (job.Stored, error) {
	if !w.open(e) {
		return w.o.Store.Publish(ctx, e)
	}
	// The watch comes first: if we die between the two, it finds out what there is to find.
	if err := w.ensure(ctx, e.Source, e.Job.ID, w.o.Now().Add(w.o.TurnTimeout)); err != nil {
		return job.Stored{}, err
	}
	stored, err := w.o.Store.Publish(ctx, e)
	if err != nil || stored.Existed {
		return stored, err
	}
	if e.Job.Result == job.Undecided {
		w.o.Count("undecided", e.Source, string(e.Evidence))
		w.o.Log.Warn().Str("source", e.Source).Str("subject", stored.Subject()).Uint64("sequence", stored.Sequence).Str("job_status", e.Job.Status).
			Msg("a job ended with an unknown result; the receiver polls the platform")
	}
	if err := w.PollNow(ctx, e.Source, e.Job.ID); err != nil {
		w.o.Log.Warn().Err(err).Str("subject", stored.Subject()).Uint64("sequence", stored.Sequence).
			Msg("advancing a poll failed; the job is polled at its scheduled time")
	}
	return stored, nil
}

// open reports whether an event leaves something open that the platform can tell.
func (w *Watcher) open(e job.Event) bool {
	switch e.Kind {
	case job.Progress:
		return e.Evidence == job.ByCallback && e.Job.Class() == job.Unknown
	case job.Finished:
		return leavesOpen(e.Job) && w.o.Now().Before(e.FilesUntil())
	case job.Conflict:
		return leavesOpen(e.Job)
	}
	return false
}

// ensure has a job watched, from then on if it has no watch yet.
func (w *Watcher) ensure(ctx context.Context, source, id string, next time.Time) error {
	_, there, err := w.o.Store.Watched(ctx, source, id)
	if there || err != nil {
		return err
	}
	// If another one was faster, its watch is as good.
	_, err = w.o.Store.PutWatch(ctx, job.Watch{Source: source, Job: id, Since: w.o.Now(), Next: next})
	return err
}

// PollNow has the platform polled for a job at once, on whichever replica, and begins to
// watch the job if nothing does. Of a job that has ended, the errors of its rows are
// fetched if they are not there. It returns when that is stored; an error is that of the
// store.
func (w *Watcher) PollNow(ctx context.Context, source, id string) error {
	for {
		now := w.o.Now()
		watch, there, err := w.o.Store.Watched(ctx, source, id)
		if err != nil {
			return err
		}
		if !there {
			watch = job.Watch{Source: source, Job: id, Since: now}
		}
		watch.Next, watch.Step = now, 0
		if done, err := w.o.Store.PutWatch(ctx, watch); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(otherPause):
		}
	}
}

// otherPause is how long another one gets who changes a watch at the same time.
const otherPause = 5 * time.Millisecond
