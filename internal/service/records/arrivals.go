package records

import (
	"context"
	"time"

	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Arrivals calls each for every callback in the streams, those of ATTEMPTS first, and returns how
// far back the streams reach. An error means that not all were read.
func Arrivals(ctx context.Context, bus *publish.Store, each func(job.Arrival)) (keyusage.Reach, error) {
	var reach keyusage.Reach
	for _, stream := range []string{conn.AttemptsStream, conn.JobsStream} {
		first := true
		for m, err := range bus.From(ctx, stream, publish.Position{}, true) {
			if err != nil {
				return reach, err
			}
			if first {
				first = false
				reach = reached(reach, stream, m)
			}
			if a, ok := job.ReadArrival(m.Subject, m.Header); ok {
				each(a)
			}
		}
	}
	return reach, nil
}

// reached notes the oldest message of a stream. In ATTEMPTS nothing is missing before
// the first message that was ever stored.
func reached(r keyusage.Reach, stream string, oldest publish.Message) keyusage.Reach {
	switch {
	case stream == conn.JobsStream:
		r.Jobs = oldest.Time
	case oldest.Sequence > 1:
		r.Attempts = oldest.Time
	}
	return r
}

// ArrivalsByTime is Arrivals in the order of time, for both streams together.
func ArrivalsByTime(ctx context.Context, bus *publish.Store, each func(job.Arrival)) error {
	stored := func(m publish.Message) time.Time { return m.Time }
	attempts := bus.From(ctx, conn.AttemptsStream, publish.Position{}, true)
	for m, err := range auditlog.Merge(stored, attempts, bus.From(ctx, conn.JobsStream, publish.Position{}, true)) {
		if err != nil {
			return err
		}
		if arrived, ok := job.ReadArrival(m.Subject, m.Header); ok {
			each(arrived)
		}
	}
	return nil
}
