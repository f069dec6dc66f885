package poll

import (
	"maps"
	"strings"
	"sync"
	"time"

	"receiver/internal/job"
)

// recentlyUnconfirmed holds for a minute the ends that callbacks told and the platform did
// not confirm. The job is being watched, so a callback that is sent again and again causes
// no further question, and nothing is written but the record of the attempt.
type recentlyUnconfirmed struct {
	mu    sync.Mutex
	since map[unconfirmedEnd]time.Time
}

// unconfirmedEnd is an end of a job, however it is spelt.
type unconfirmedEnd struct {
	source, job, word string
	result            job.Result
}

// The bounds of what is remembered.
const (
	unconfirmedFor = time.Minute
	maxUnconfirmed = 1024
)

func newUnconfirmedEnd(source string, told job.View) unconfirmedEnd {
	_, word := job.Classify(told.Status)
	return unconfirmedEnd{source, told.ID, word, told.Result}
}

func (r *recentlyUnconfirmed) has(source string, told job.View, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, there := r.since[newUnconfirmedEnd(source, told)]
	return there && now.Sub(since) < unconfirmedFor
}

func (r *recentlyUnconfirmed) add(source string, told job.View, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.since) >= maxUnconfirmed {
		maps.DeleteFunc(r.since, func(_ unconfirmedEnd, since time.Time) bool { return now.Sub(since) >= unconfirmedFor })
	}
	if r.since == nil || len(r.since) >= maxUnconfirmed {
		r.since = map[unconfirmedEnd]time.Time{} // to ask once too often does no harm
	}
	told.ID, told.Status = strings.Clone(told.ID), strings.Clone(told.Status) // parts of the body
	r.since[newUnconfirmedEnd(source, told)] = now
}
