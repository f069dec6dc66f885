package callback

import (
	"context"
	"fmt"

	"receiver/internal/job"
)

// Tell stores an event, or returns with Existed the one that told the same before. Its
// error is ErrUnavailable.
func Tell(ctx context.Context, store Store, e job.Event) (job.Stored, error) {
	stored, err := store.Publish(ctx, e)
	if err == nil && stored.Existed && e.Kind == job.Finished && !stored.Job.SameOutcome(e.Job) {
		// The first word stands; another is evidence of its own, and no duplicate.
		e.Kind = job.Conflict
		stored, err = store.Publish(ctx, e)
	}
	if err != nil {
		return stored, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return stored, nil
}
