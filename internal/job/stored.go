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

// Tell stores an event by publish, which does what Bus.Publish of package publish promises.
// The first word on the end of a job stands; another is stored as a Conflict, being evidence
// of its own and no duplicate.
func Tell(ctx context.Context, publish func(context.Context, Event) (Stored, error), e Event) (Stored, error) {
	stored, err := publish(ctx, e)
	if err == nil && stored.Existed && e.Kind == Finished && !stored.Job.SameOutcome(e.Job) {
		e.Kind = Conflict
		return publish(ctx, e)
	}
	return stored, err
}
