package main

import (
	"context"

	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/track"
)

// arrivals reads how each callback arrived that the streams hold, those of ATTEMPTS
// first, and how far back the streams reach. An error means that not all were read.
func arrivals(ctx context.Context, bus *publish.Bus, each func(job.Arrival)) (track.Reach, error) {
	var reach track.Reach
	for _, stream := range []string{publish.AttemptsStream, publish.JobsStream} {
		first := true
		if err := bus.Headers(ctx, stream, func(m publish.Message) error {
			if first {
				first = false
				reach = reached(reach, stream, m)
			}
			if a, ok := job.ReadArrival(m.Subject, m.Header); ok {
				each(a)
			}
			return nil
		}); err != nil {
			return reach, err
		}
	}
	return reach, nil
}

// reached notes the oldest message of a stream. In ATTEMPTS nothing is missing before
// the first message that was ever stored.
func reached(r track.Reach, stream string, oldest publish.Message) track.Reach {
	switch {
	case stream == publish.JobsStream:
		r.Jobs = oldest.Time
	case oldest.Sequence > 1:
		r.Attempts = oldest.Time
	}
	return r
}
