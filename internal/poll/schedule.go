package poll

import (
	"math/rand/v2"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
)

// Schedule says when the platform is polled for a job. The zero value of a field means the
// default that its comment names.
type Schedule struct {
	// Expected is how long a job takes as a rule: the first poll is then,
	// counted from the submission. Default 10 minutes.
	Expected time.Duration
	// Retry is the pause after the first poll. It doubles with each further one, up
	// to Cap. Defaults 1 minute and 15 minutes.
	Retry, Cap time.Duration
	// Deadline is when a job without an end is overdue, counted from the submission.
	// Default 6 hours.
	Deadline time.Duration
	// Slow is the pause between polls for an overdue job. Default 1 hour.
	Slow time.Duration
	// Retention is how long polling goes on after the deadline; then the job is lost.
	// Default 3 days, which is how long the platform keeps what it knows at most.
	Retention time.Duration
}

func (s Schedule) withDefaults() Schedule {
	for _, f := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&s.Expected, 10 * time.Minute}, {&s.Retry, time.Minute}, {&s.Cap, 15 * time.Minute},
		{&s.Deadline, 6 * time.Hour}, {&s.Slow, time.Hour}, {&s.Retention, job.Retention},
	} {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	return s
}

// first is the time of the first poll for a job submitted at that time.
func (s Schedule) first(since time.Time) time.Time { return since.Add(jittered(s.Expected)) }

// overdue and end are when a watch's job becomes overdue and when it is lost.
func (s Schedule) overdue(w job.Watch, now time.Time) time.Time { return since(w, now).Add(s.Deadline) }
func (s Schedule) end(w job.Watch, now time.Time) time.Time {
	return since(w, now).Add(s.Deadline + s.Retention)
}

// Due says what comes of a job without an end that has this watch.
func (s Schedule) Due(w job.Watch, now time.Time) joblist.Due {
	s = s.withDefaults()
	return joblist.Due{Expected: since(w, now).Add(s.Expected), Overdue: s.overdue(w, now), Lost: s.end(w, now), NextPoll: w.Next}
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
func (s Schedule) waited(w job.Watch, now time.Time) time.Duration {
	last := w.Last
	if last.IsZero() {
		last = w.Since
	}
	return w.Waited + min(max(now.Sub(last), 0), s.longest(w))
}

// next is the time of the next poll for a job that has not ended. It is never later than the next
// of deadline and end.
func (s Schedule) next(w job.Watch, now time.Time) time.Time {
	pause, limit := s.pause(w.Step, s.Cap), s.overdue(w, now)
	if w.Overdue {
		pause, limit = s.Slow, s.end(w, now)
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

// late is the time of the next poll for a job past its end.
func (s Schedule) late(w job.Watch, now time.Time) time.Time {
	return now.Add(jittered(s.pause(w.Unanswered-1, s.Cap)))
}

// again is the time of the next poll for a job that has ended and still has open questions.
func (s Schedule) again(w job.Watch, now time.Time) time.Time {
	return now.Add(jittered(s.pause(w.Step, s.Slow)))
}

// longest is how long a watch can have to wait for its next question by the clock that
// wrote it down.
func (s Schedule) longest(w job.Watch) time.Duration {
	pause := s.pause(w.Step, max(s.Cap, s.Slow))
	switch {
	case w.Overdue:
		pause = s.Slow
	case w.Looks == 0 && w.Step == 0:
		pause = s.Expected
	}
	return pause + pause/5
}

// pause grows with the steps, up to most.
func (s Schedule) pause(step int, most time.Duration) time.Duration {
	pause := s.Retry
	for range step {
		if pause >= most {
			break
		}
		pause *= 2
	}
	return min(pause, most)
}

// jittered returns d, randomly longer by up to a fifth, so that jobs that were submitted together
// are not polled for together for ever.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/5+1) //nolint:gosec // nobody gains by guessing when we ask
}
