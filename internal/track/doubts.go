package track

import (
	"maps"
	"strings"
	"sync"
	"time"

	"receiver/internal/job"
)

// doubts remembers for a moment what callbacks told that was not confirmed. The job is
// being watched, so that whoever sends such a callback over and over has nothing asked by
// it, and nothing written but the record of the attempt.
type doubts struct {
	mu    sync.Mutex
	since map[doubt]time.Time
}

// doubt is an end of a job, however it is spelt.
type doubt struct {
	source, job, word string
	result            job.Result
}

// The bounds of what is remembered.
const (
	doubtFor   = time.Minute
	mostDoubts = 1024
)

func newDoubt(source string, told job.View) doubt {
	_, word := job.Classify(told.Status)
	return doubt{source, told.ID, word, told.Result}
}

func (d *doubts) has(source string, told job.View, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	since, there := d.since[newDoubt(source, told)]
	return there && now.Sub(since) < doubtFor
}

func (d *doubts) add(source string, told job.View, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.since) >= mostDoubts {
		maps.DeleteFunc(d.since, func(_ doubt, since time.Time) bool { return now.Sub(since) >= doubtFor })
	}
	if d.since == nil || len(d.since) >= mostDoubts {
		d.since = map[doubt]time.Time{} // to ask once too often does no harm
	}
	told.ID, told.Status = strings.Clone(told.ID), strings.Clone(told.Status) // parts of the body
	d.since[newDoubt(source, told)] = now
}
