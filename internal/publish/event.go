package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// Publish stores e and returns it with its sequence, or, with Existed, the event
// that was there already:
//
//   - of a kind that exists once for a job, and Unrecognised, once for a body, whatever is
//     on the subject; if it is from memory, it is known by source, job, kind, status, result,
//     evidence and digest alone;
//   - Progress and Conflict, the one with the same id.
//
// An event that was there is Hidden if it is encrypted: nothing is decrypted for that.
//
// Any number of callers and replicas may publish the same at once; one wins. An
// error is ErrUnavailable, and nothing is known to be stored.
func (b *Bus) Publish(ctx context.Context, e job.Event) (job.Stored, error) {
	if err := b.enter(); err != nil {
		return job.Stored{}, err
	}
	defer b.leave()
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := e.Subject()
	if there, ok := b.recent.on(subject); ok {
		return there, nil
	}
	msg, err := b.message(subject, e)
	if err != nil {
		return job.Stored{}, err
	}
	stored, err := b.store(ctx, e, msg)
	switch {
	case err == nil && !stored.Existed:
		b.feed.tell(stored)
	case err != nil && !errors.Is(err, ErrUnavailable):
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return stored, err
}

func (b *Bus) store(ctx context.Context, e job.Event, msg *message) (job.Stored, error) {
	object := ""
	if len(msg.data) > 0 && !b.fits(b.jobs, msg) {
		// A repeat would bring its body in vain, as often as somebody sends it.
		there, _, err := b.earlier(ctx, e, msg.subject)
		if err != nil || there.Existed {
			return there, err
		}
		if object, err = b.setAside(ctx, msg); err != nil {
			return job.Stored{}, err
		}
	}
	publish := b.publishOnce
	if distinct(e.Kind) {
		publish = b.publishDistinct
	}
	stored, err := publish(ctx, e, msg)
	if err == nil && stored.Existed && object != "" {
		b.removeSpare(ctx, object, stored.Sequence)
	}
	return stored, err
}

// distinct reports whether there may be several events of a kind on one subject, told apart
// by their ids.
func distinct(k job.Kind) bool { return k == job.Progress || k == job.Conflict }

// earlier returns the event on a subject that e repeats, with Existed, if there is one, and
// the last sequence that it has seen there.
func (b *Bus) earlier(ctx context.Context, e job.Event, subject string) (_ job.Stored, last uint64, _ error) {
	for there, err := range b.on(ctx, subject, nil) {
		if err != nil {
			return job.Stored{}, 0, err
		}
		last = there.Sequence
		if !distinct(e.Kind) || there.ID() == e.ID() {
			there.Existed = true
			return there, last, nil
		}
	}
	return job.Stored{}, last, nil
}

func (b *Bus) publishOnce(ctx context.Context, e job.Event, msg *message) (job.Stored, error) {
	seq, err := b.events.publish(ctx, msg)
	switch {
	case err == nil:
		stored := job.Stored{Event: e, Sequence: seq}
		b.recent.put(msg.subject, stored, msg.header.Digest())
		return stored, nil
	case !isTaken(err):
		return job.Stored{}, err
	}
	there, err := b.last(ctx, msg.subject)
	if err == nil {
		b.recent.put(msg.subject, there, []byte(there.Digest()))
	}
	there.Existed = true
	return there, err
}

// publishDistinct stores one event for each id on a subject: it looks at what is
// there, and publishes on the condition that nothing has come since.
func (b *Bus) publishDistinct(ctx context.Context, e job.Event, msg *message) (job.Stored, error) {
	for {
		there, last, err := b.earlier(ctx, e, msg.subject)
		if err != nil || there.Existed {
			return there, err
		}
		ack, err := b.publish(ctx, msg, expect(last))
		if err == nil {
			return job.Stored{Event: e, Sequence: ack.Sequence}, nil
		}
		if !isTaken(err) {
			return job.Stored{}, err
		}
		if err := pause(ctx, lagPause); err != nil {
			return job.Stored{}, fmt.Errorf("%w: others publish on %s: %v", ErrUnavailable, msg.subject, err)
		}
	}
}

// pause returns after d, or with an error as soon as ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// isTaken reports whether JetStream refused a message because its subject holds
// another last sequence than expected: somebody was there before.
func isTaken(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == errWrongLastSequence || api.ErrorCode == errBeingWritten)
}

// JetStream's codes for a failed expectation of the last sequence; nats.go has no
// names for them. nats-server errors.json, JSStreamWrongLastSequenceErrF and, for a
// subject whose message the replicas have not agreed on yet, …ConstantErr.
const (
	errWrongLastSequence jetstream.ErrorCode = 10071
	errBeingWritten      jetstream.ErrorCode = 10164
)
