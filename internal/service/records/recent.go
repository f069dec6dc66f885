package records

import (
	"context"

	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// recentEvents is how many of the newest events RecentJobs looks at.
const recentEvents = 1000

// RecentJobs returns the newest brief of each job that the newest events are about, newest first.
func RecentJobs(ctx context.Context, bus *publish.Store) ([]job.Brief, error) {
	last, err := bus.LastSequence(ctx, conn.JobsStream)
	if err != nil {
		return nil, err
	}
	var all []job.Brief
	for briefs, err := range bus.Briefs(ctx, max(last, recentEvents)-recentEvents+1, false) {
		if err != nil {
			return nil, err
		}
		all = append(all, briefs...)
	}
	type key struct{ source, id string }
	known := map[key]bool{}
	var jobs []job.Brief
	for i := len(all) - 1; i >= 0; i-- {
		if k := (key{all[i].Source, all[i].ID}); !known[k] {
			known[k] = true
			jobs = append(jobs, all[i])
		}
	}
	return jobs, nil
}
