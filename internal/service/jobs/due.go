package jobs

import (
	"context"
	"slices"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/publish/reader"
)

// dueTimeout is how long the store may take to tell the next polls of one page. The list itself is
// in memory: without the store it is as good.
const dueTimeout = 500 * time.Millisecond

// due sets what comes of the jobs of a page that are open.
func (r Reader) due(ctx context.Context, listed []joblist.Listed) {
	if r.Schedule == nil {
		return
	}
	var subjects []string
	for _, j := range listed {
		if slices.Contains(joblist.Open, j.State) {
			subjects = append(subjects, job.WatchSubject(j.Source, j.ID))
		}
	}
	if len(subjects) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, dueTimeout)
	defer cancel()
	// Of a job whose watch does not come, the schedule tells all but the next poll.
	watches, _ := reader.Watches(ctx, r.Store.JetStream(), subjects)
	for i, j := range listed {
		if w, there := watches[job.WatchSubject(j.Source, j.ID)]; slices.Contains(joblist.Open, j.State) {
			listed[i].Due = r.dueOf(w, there, j.Source, j.Object, j.At, j.Expected)
		}
	}
}

// dueOf is what comes of an open job. One that was not submitted here and has no watch is not
// waited for.
func (r Reader) dueOf(w job.Watch, watched bool, source, object string, at time.Time, submitted bool) *joblist.Due {
	switch {
	case watched:
	case submitted:
		w.Since = at
	default:
		return nil
	}
	due := r.Schedule(source, object).Due(w, time.Now())
	return &due
}
