package api

import (
	"time"

	"receiver/internal/job"
)

// LargestFollowed is the largest body in bytes that GET /v1/events gives with an event.
const LargestFollowed = 256 << 10

// Follow is what GET /v1/events asks for.
type Follow struct {
	// After is the sequence behind which it begins, if Behind is set. Else it begins with what was
	// stored since Since or, if that is zero, with new events.
	After  uint64
	Behind bool
	Since  time.Time
	// Sources, Kinds and Results must have those of an event; none means any.
	Sources []string
	Kinds   []job.Kind
	Results []job.Result
}

// Followed is one step through the events.
type Followed struct {
	// Sequence is how far the step goes.
	Sequence uint64
	// Name is the kind of an event, or GapName, and Data the Event or the Gap in JSON, on one line.
	// Without a name there is nothing to tell up to Sequence.
	Name string
	Data []byte
}

// GapName is the name of a step over sequences that the stream does not hold.
const GapName = "gap"
