package job

// Stored is an event as it stands in the stream JOBS.
type Stored struct {
	Event
	// Sequence is the event's place in the stream.
	Sequence uint64
	// Existed is true when the event was there before the call that returned it.
	Existed bool
}
