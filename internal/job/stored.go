package job

import "context"

// Stored is an event as it stands in the stream JOBS.
type Stored struct {
	Event
	// Sequence is the event's place in the stream.
	Sequence uint64
	// Existed is true when the event was there before the call that returned it.
	Existed bool
}

// PublishResolvingConflict stores an event by publish, which does what Store.Publish of package
// publish promises. The first outcome of a job stays; another one is stored as a Conflict, because
// it is evidence of its own and no duplicate.
func PublishResolvingConflict(ctx context.Context, publish func(context.Context, Event) (Stored, error), e Event) (Stored, error) {
	stored, err := publish(ctx, e)
	if err == nil && stored.Existed && e.Kind == Finished && !stored.Job.SameOutcome(e.Job) {
		e.Kind = Conflict
		return publish(ctx, e)
	}
	return stored, err
}
