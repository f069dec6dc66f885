package track

import (
	"math/rand/v2"
	"time"

	"receiver/internal/job"
)

// Plan says when the platform is asked after a job. The zero value of a field means the
// default that its comment names.
type Plan struct {
	// Expected is how long a job takes as a rule: the first question is asked then,
	// counted from the submission. Default 10 minutes.
	Expected time.Duration
	// Retry is the pause after the first question. It doubles with each further one, up
	// to Cap. Defaults 1 minute and 15 minutes.
	Retry, Cap time.Duration
	// Deadline is when a job without an end is overdue, counted from the submission.
	// Default 6 hours.
	Deadline time.Duration
	// Slow is the pause between questions after a job which is overdue. Default 1 hour.
	Slow time.Duration
	// Retention is how long asking goes on after the deadline; then the job is lost.
	// Default 3 days, which is how long the platform keeps what it knows at most.
	Retention time.Duration
}

func (p Plan) withDefaults() Plan {
	for _, f := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&p.Expected, 10 * time.Minute}, {&p.Retry, time.Minute}, {&p.Cap, 15 * time.Minute},
		{&p.Deadline, 6 * time.Hour}, {&p.Slow, time.Hour}, {&p.Retention, job.Retention},
	} {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	return p
}

// first is when a job submitted at that time is asked after first.
func (p Plan) first(since time.Time) time.Time { return since.Add(jittered(p.Expected)) }

// overdue and end are when a watch's job becomes overdue and when it is lost.
func (p Plan) overdue(w job.Watch, now time.Time) time.Time { return since(w, now).Add(p.Deadline) }
func (p Plan) end(w job.Watch, now time.Time) time.Time {
	return since(w, now).Add(p.Deadline + p.Retention)
}

// since is when a job was submitted. A clock that was ahead at that time wrote down a time that
// is too late; then the time that passed between the questions tells.
func since(w job.Watch, now time.Time) time.Time {
	if s := now.Add(-w.Waited); s.Before(w.Since) {
		return s
	}
	return w.Since
}

// waited is Watch.Waited at a question asked now.
func (p Plan) waited(w job.Watch, now time.Time) time.Duration {
	last := w.Last
	if last.IsZero() {
		last = w.Since
	}
	return w.Waited + min(max(now.Sub(last), 0), p.longest(w))
}

// next is when a job that has not ended is asked after once more. The deadline and the
// end are never slept through.
func (p Plan) next(w job.Watch, now time.Time) time.Time {
	pause, limit := p.pause(w.Step, p.Cap), p.overdue(w, now)
	if w.Overdue {
		pause, limit = p.Slow, p.end(w, now)
	}
	next := now.Add(jittered(pause))
	if next.After(limit) && limit.After(now) {
		return limit
	}
	return next
}

// lateTries is how often in a row the platform must not have answered before a job that is past
// its end is lost: the receiver may have been started before its network.
const lateTries = 4

// late is when a job past its end is asked after once more.
func (p Plan) late(w job.Watch, now time.Time) time.Time {
	return now.Add(jittered(p.pause(w.Unanswered-1, p.Cap)))
}

// again is when what a job that has ended left to ask for is asked for once more.
func (p Plan) again(w job.Watch, now time.Time) time.Time {
	return now.Add(jittered(p.pause(w.Step, p.Slow)))
}

// longest is how long a watch can have to wait for its next question by the clock that
// wrote it down.
func (p Plan) longest(w job.Watch) time.Duration {
	pause := p.pause(w.Step, max(p.Cap, p.Slow))
	switch {
	case w.Overdue:
		pause = p.Slow
	case w.Looks == 0 && w.Step == 0:
		pause = p.Expected
	}
	return pause + pause/5
}

// pause grows with the steps, up to most.
func (p Plan) pause(step int, most time.Duration) time.Duration {
	pause := p.Retry
	for range step {
		if pause >= most {
			break
		}
		pause *= 2
	}
	return min(pause, most)
}

// jittered returns d, longer by chance by up to a fifth, so that jobs which were
// submitted together are not asked after together for ever.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/5+1) //nolint:gosec // nobody gains by guessing when we ask
}
