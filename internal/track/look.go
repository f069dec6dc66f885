package track

import (
	"context"
	"time"

	"receiver/internal/job"
)

// busyPause is how long a watch waits whose source is being asked as often as it may.
const busyPause = 200 * time.Millisecond

// turn is what becomes of a watch that is handed out: how long it is wanted back after,
// or zero if it is over or another message has taken its place.
func (w *Watcher) turn(ctx context.Context, watch job.Watch) time.Duration {
	if wait := w.wait(watch); wait > 0 {
		return wait
	}
	if !w.asking.enter(watch.Source) {
		return jittered(busyPause)
	}
	defer w.asking.leave(watch.Source)
	if err := w.look(ctx, watch); err != nil {
		if ctx.Err() == nil {
			w.o.Log.Warn().Err(err).Str("source", watch.Source).Str("job", watch.Job).Msg("job not asked after; tried again")
		}
		return jittered(storePause)
	}
	return 0
}

// wait is how long it is until the question of a watch is due. A time that is farther away
// than any question can be was written down by a clock ahead of ours: then the pause is
// kept once, by the clock of the store, and not until ours has come so far.
func (w *Watcher) wait(watch job.Watch) time.Duration {
	wait, longest := watch.Next.Sub(w.o.Now()), w.plan(watch.Source, watch.Object).longest(watch)
	switch {
	case wait <= longest+skew:
		return wait
	case watch.Handed > 1:
		return 0
	}
	return longest
}

// look asks after a job once and writes down what came of it: what was new, and the watch
// with the time of the next question, unless nothing is left to ask. Its error is that of
// the store, never the platform's.
func (w *Watcher) look(ctx context.Context, watch job.Watch) error {
	known, err := w.before(ctx, watch)
	if err != nil {
		return err
	}
	if rank(known.State) >= rank(Finished) {
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
	watch.Waited = w.plan(watch.Source, watch.Object).waited(watch, now)
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
	return w.goOn(ctx, watch, now)
}

// before returns what is known of a job before the platform is asked.
func (w *Watcher) before(ctx context.Context, watch job.Watch) (Job, error) {
	w.takeBack(ctx, watch)
	events, err := w.o.Store.Job(ctx, watch.Source, watch.Job)
	return Fold(events), err
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
func polled(k job.Kind, watch job.Watch, known Job, a answer) job.Event {
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
	stored, err := w.tell(ctx, e)
	if err != nil {
		return err
	}
	log := w.o.Log.Info().Str("source", e.Source).Str("subject", stored.Subject()).Uint64("seq", stored.Sequence)
	if !stored.Existed {
		log.Str("result", string(e.Job.Result)).Msg("learnt by asking")
		return nil
	}
	if w.open(e) {
		// Whoever stored it saw our watch there, and may have failed to bring it forward; what
		// the event leaves open is looked at once more.
		if err := w.Hurry(ctx, e.Source, e.Job.ID); err != nil {
			return err
		}
	}
	if stored.Evidence == job.ByPoll {
		return nil // told by an earlier question that was broken off
	}
	w.o.Count("late", e.Source, "poll")
	log.Msg("learnt by asking, but the callback was faster")
	return w.o.Store.Record(ctx, job.Attempt{
		Source: e.Source, Verdict: job.Late, Receipt: job.Receipt{Received: e.Time}, Event: stored.ID(),
		Body: e.Data, Size: int64(len(e.Data)), SHA256: job.BodySHA256(e.Data), Redacted: e.Redacted,
	})
}

// tell stores what is the end of a job.
func (w *Watcher) tell(ctx context.Context, e job.Event) (job.Stored, error) {
	stored, err := job.Tell(ctx, w.Publish, e)
	if err == nil && stored.Kind == job.Conflict {
		w.o.Count("conflict", e.Source, string(e.Evidence))
	}
	return stored, err
}

// goOn says what has become of a job that has not ended, and when it is asked after next. A
// job is lost when its time is over and the platform has answered, be it that it knows no such
// job, or has not answered several times in a row.
func (w *Watcher) goOn(ctx context.Context, watch job.Watch, now time.Time) error {
	plan := w.plan(watch.Source, watch.Object)
	if !watch.Overdue && !now.Before(plan.overdue(watch, now)) {
		watch.Overdue = true
		if err := w.say(ctx, job.Overdue, watch, "job is overdue"); err != nil {
			return err
		}
	}
	over := !now.Before(plan.end(watch, now))
	switch {
	case over && (watch.Unanswered == 0 || watch.Unanswered >= lateTries):
		return w.say(ctx, job.Lost, watch, "job is lost: nobody called, and the platform is not asked any more")
	case over:
		watch.Next = plan.late(watch, now)
	default:
		watch.Next = plan.next(watch, now)
		watch.Step++
	}
	// If another message has taken this one's place meanwhile, that one goes on.
	_, err := w.o.Store.PutWatch(ctx, watch)
	return err
}

// say publishes our own word about a job. The event's data is the watch as it stands.
func (w *Watcher) say(ctx context.Context, k job.Kind, watch job.Watch, message string) error {
	stored, err := w.o.Store.Publish(ctx, job.Event{
		Kind: k, Source: watch.Source, Time: watch.Last, Evidence: job.ByUs, Data: watch.Data(),
		Job: job.View{ID: watch.Job, Status: watch.Status, Object: watch.Object},
	})
	if err != nil || stored.Existed {
		return err
	}
	w.o.Count(string(k), watch.Source, outcomeOfWatch(watch))
	w.o.Log.Warn().Str("source", watch.Source).Str("job", watch.Job).Uint64("seq", stored.Sequence).
		Str("status", watch.Status).Int("looks", watch.Looks).Int("failures", watch.Failures).Str("last_error", watch.Error).Msg(message)
	return nil
}

// outcomeOfWatch says whether the platform could be asked last time.
func outcomeOfWatch(w job.Watch) string {
	if w.Error != "" {
		return "unanswered"
	}
	return "answered"
}
