package poll

import (
	"context"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
)

// busyPause is how long a watch waits whose source is being asked as often as it may.
const busyPause = 200 * time.Millisecond

// turn is what becomes of a watch that is handed out: how long it is wanted back after,
// or zero if it is over or another message has taken its place.
func (w *Watcher) turn(ctx context.Context, watch job.Watch) time.Duration {
	if wait := w.wait(watch); wait > 0 {
		return wait
	}
	if !w.asking.tryAcquire(watch.Source) {
		return jittered(busyPause)
	}
	defer w.asking.release(watch.Source)
	ctx, span := w.o.Tracer.Root(ctx, "poll")
	span.Text("receiver.source", watch.Source)
	err := w.poll(ctx, watch)
	span.End(err)
	if err != nil {
		if ctx.Err() == nil {
			w.o.Log.Warn().Err(err).Str("source", watch.Source).Str("job", watch.Job).Msg("polling a job failed and is tried again")
		}
		return jittered(storePause)
	}
	return 0
}

// wait is how long it is until the question of a watch is due. A time that is farther away
// than any question can be was written down by a clock ahead of ours: then the pause is
// kept once, by the clock of the store, and not until ours has come so far.
func (w *Watcher) wait(watch job.Watch) time.Duration {
	wait, longest := watch.Next.Sub(w.o.Now()), w.schedule(watch.Source, watch.Object).longest(watch)
	switch {
	case wait <= longest+skew:
		return wait
	case watch.Handed > 1:
		return 0
	}
	return longest
}

// poll polls for a job once and stores the result: new events, and the watch with the time of the
// next poll, unless nothing is left to poll for. Its error is that of the store, never the
// platform's.
func (w *Watcher) poll(ctx context.Context, watch job.Watch) error {
	known, err := w.before(ctx, watch)
	if err != nil {
		return err
	}
	if known.Ended() {
		return w.after(ctx, watch, known)
	}
	if watch.Object == "" {
		watch.Object = known.View.Object
	}
	a, err := w.ask(ctx, watch.Source, watch.Job, w.o.Timeout)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := w.o.Now()
	watch.Waited = w.schedule(watch.Source, watch.Object).waited(watch, now)
	watch.Looks, watch.Last, watch.Error = watch.Looks+1, now, ""
	if watch.Unanswered++; err == nil || w.o.Unknown(err) {
		watch.Unanswered = 0
	}
	switch {
	case err != nil:
		watch.Failures, watch.Error = watch.Failures+1, cut(err.Error())
	case a.view.Over():
		return w.finish(ctx, polled(job.Finished, watch, known, a))
	default:
		if err := w.progress(ctx, watch, polled(job.Progress, watch, known, a)); err != nil {
			return err
		}
		watch.Status = a.view.Status
	}
	return w.reschedule(ctx, watch, now)
}

// before returns what is known of a job before the platform is asked.
func (w *Watcher) before(ctx context.Context, watch job.Watch) (joblist.Job, error) {
	w.releaseEarly(ctx, watch)
	events, err := w.o.Store.Job(ctx, watch.Source, watch.Job)
	return joblist.Fold(events), err
}

// answer is what the platform answered to a question after a job. It may repeat the address
// that it calls back at, in whatever it says, and a token in there must not be kept: body
// and view are redacted.
type answer struct {
	body     []byte
	redacted bool
	view     job.View
}

// ask reads the platform's status of a job. When ctx is done, so are we, which says
// nothing about the platform.
func (w *Watcher) ask(ctx context.Context, source, id string, timeout time.Duration) (a answer, err error) {
	asking, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := w.o.Status(asking, source, id)
	if ctx.Err() != nil {
		return answer{}, ctx.Err()
	}
	outcome := ""
	if err != nil {
		outcome = w.o.Classify(err)
	} else if a, err = understood(ctx, id, body); ctx.Err() != nil {
		return answer{}, ctx.Err()
	} else if err != nil {
		outcome = "unreadable"
	} else {
		outcome = outcomeOf(a.view)
	}
	w.o.Count("look", source, outcome)
	return a, err
}

func understood(ctx context.Context, id string, body []byte) (a answer, err error) {
	if a.body, a.redacted, err = job.Redact(ctx, body); err != nil {
		return answer{}, err
	}
	a.view, err = job.ReadAnswer(id, a.body)
	return a, err
}

func outcomeOf(v job.View) string {
	switch {
	case v.Result == job.Undecided:
		return "undecided"
	case v.Over():
		return "finished"
	case v.Class() == job.Running:
		return "running"
	}
	return "unknown"
}

// maxError bounds what is kept of an error's text.
const maxError = 512

func cut(s string) string { return s[:min(len(s), maxError)] }

// polled makes an event of what the platform answered.
func polled(k job.Kind, watch job.Watch, known joblist.Job, a answer) job.Event {
	return job.Event{
		Kind: k, Source: watch.Source, Job: a.view, Time: watch.Last, Evidence: job.ByPoll, Unexpected: !known.Expected,
		Data: a.body, Redacted: a.redacted,
	}
}

// progress publishes a status that is not the end. Publishing tells whether it is new;
// the watch only spares the question.
func (w *Watcher) progress(ctx context.Context, watch job.Watch, e job.Event) error {
	if e.Job.SameOutcome(job.View{Status: watch.Status}) {
		return nil
	}
	_, err := w.o.Store.Publish(ctx, e)
	return err
}

// finish publishes the end of a job. Should a callback have been faster, that one
// stands, and ours is recorded beside it.
func (w *Watcher) finish(ctx context.Context, e job.Event) error {
	stored, err := w.publishEnd(ctx, e)
	if err != nil {
		return err
	}
	log := w.o.Log.Info().Str("source", e.Source).Str("subject", stored.Subject()).Uint64("sequence", stored.Sequence)
	if !stored.Existed {
		log.Str("result", string(e.Job.Result)).Msg("the receiver detected the end of a job by polling")
		return nil
	}
	if w.open(e) {
		// The replica that stored it saw this watch, and may have failed to bring it forward; so
		// the open questions of the event are checked once more.
		if err := w.PollNow(ctx, e.Source, e.Job.ID); err != nil {
			return err
		}
	}
	if stored.Evidence == job.ByPoll {
		return nil // told by an earlier question that was broken off
	}
	w.o.Count("late", e.Source, "poll")
	log.Msg("the receiver detected the end of a job by polling, but the callback was stored first")
	return w.o.Store.Record(ctx, job.Attempt{
		Source: e.Source, Verdict: job.Late, Receipt: job.Receipt{Received: e.Time}, Event: stored.ID(),
		Body: e.Data, Size: int64(len(e.Data)), SHA256: job.BodySHA256(e.Data), Redacted: e.Redacted,
	})
}

// publishEnd stores what is the end of a job.
func (w *Watcher) publishEnd(ctx context.Context, e job.Event) (job.Stored, error) {
	stored, err := job.PublishResolvingConflict(ctx, w.Publish, e)
	if err == nil && stored.Kind == job.Conflict {
		w.o.Count("conflict", e.Source, string(e.Evidence))
	}
	return stored, err
}

// reschedule stores the state of a job that has not ended, and sets the time of the next poll. A
// job is lost if its time is over and the platform has answered, even that it knows no such job, or
// has failed to answer several times in a row.
func (w *Watcher) reschedule(ctx context.Context, watch job.Watch, now time.Time) error {
	schedule := w.schedule(watch.Source, watch.Object)
	if !watch.Overdue && !now.Before(schedule.overdue(watch, now)) {
		watch.Overdue = true
		if err := w.publishOwn(ctx, job.Overdue, watch); err != nil {
			return err
		}
	}
	over := !now.Before(schedule.end(watch, now))
	switch {
	case over && (watch.Unanswered == 0 || watch.Unanswered >= lateTries):
		return w.publishOwn(ctx, job.Lost, watch)
	case over:
		watch.Next = schedule.late(watch, now)
	default:
		watch.Next = schedule.next(watch, now)
		watch.Step++
	}
	// If another message has taken this one's place meanwhile, that one goes on.
	_, err := w.o.Store.PutWatch(ctx, watch)
	return err
}

// publishOwn publishes our own word about a job. The event's data is the current watch.
func (w *Watcher) publishOwn(ctx context.Context, k job.Kind, watch job.Watch) error {
	stored, err := w.o.Store.Publish(ctx, job.Event{
		Kind: k, Source: watch.Source, Time: watch.Last, Evidence: job.ByUs, Data: watch.Data(),
		Job: job.View{ID: watch.Job, Status: watch.Status, Object: watch.Object},
	})
	if err != nil || stored.Existed {
		return err
	}
	w.o.Count(string(k), watch.Source, outcomeOfWatch(watch))
	line := w.o.Log.Warn().Str("source", watch.Source).Str("job", watch.Job).Uint64("sequence", stored.Sequence).
		Str("job_status", watch.Status).Int("polls", watch.Looks).Int("failures", watch.Failures).Str("last_error", watch.Error)
	if k == job.Lost {
		line.Msg("a job is lost: no callback came, and the receiver no longer polls it")
	} else {
		line.Msg("a job is overdue; the receiver keeps polling it")
	}
	return nil
}

// outcomeOfWatch says whether the platform could be asked last time.
func outcomeOfWatch(w job.Watch) string {
	if w.Error != "" {
		return "unanswered"
	}
	return "answered"
}
