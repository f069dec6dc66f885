package main

import (
	"context"
	"errors"
	"iter"

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

// arrivalsByTime is arrivals in the order of time, whichever stream they are in.
func arrivalsByTime(ctx context.Context, bus *publish.Bus, each func(job.Arrival)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, stopEvents := iter.Pull2(headers(ctx, bus, publish.JobsStream))
	defer stopEvents()
	attempts, stopAttempts := iter.Pull2(headers(ctx, bus, publish.AttemptsStream))
	defer stopAttempts()
	e, err, more := events()
	a, errAttempts, moreAttempts := attempts()
	for {
		if err := errors.Join(err, errAttempts); err != nil {
			return err
		}
		var m publish.Message
		switch {
		case !more && !moreAttempts:
			return nil
		case more && (!moreAttempts || e.Time.Before(a.Time)):
			m = e
			e, err, more = events()
		default:
			m = a
			a, errAttempts, moreAttempts = attempts()
		}
		if arrived, ok := job.ReadArrival(m.Subject, m.Header); ok {
			each(arrived)
		}
	}
}

var errEnough = errors.New("nobody reads on")

// headers gives the messages of a stream, without their data, one by one.
func headers(ctx context.Context, bus *publish.Bus, stream string) iter.Seq2[publish.Message, error] {
	return func(yield func(publish.Message, error) bool) {
		err := bus.Headers(ctx, stream, func(m publish.Message) error {
			if !yield(m, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(publish.Message{}, err)
		}
	}
}
