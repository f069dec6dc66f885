package poll

import (
	"context"
	"receiver/internal/joblist"
)

// Show says what is known of one job, read from the streams: its events and how the
// platform is being polled for it. It returns the zero Job if nothing is known.
func Show(ctx context.Context, e Events, w Watches, source, id string) (joblist.Job, error) {
	events, err := e.Job(ctx, source, id)
	if err != nil {
		return joblist.Job{}, err
	}
	j := joblist.Fold(events)
	watch, there, err := w.Watched(ctx, source, id)
	if err != nil {
		return joblist.Job{}, err
	}
	if there && !over(j) {
		j.Watch = &watch
		if j.State == "" {
			j.Source, j.View.ID = source, id
		}
	}
	return j, nil
}

// over reports whether nothing is left to ask the platform about a job.
func over(j joblist.Job) bool {
	return j.Ended() && !j.Undecided() && !lacksRows(j)
}
