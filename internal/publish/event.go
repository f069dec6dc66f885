package publish

import (
	"context"
	"errors"
	"fmt"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/sender"
	"receiver/internal/publish/traced"
	"receiver/internal/tracing"
)

// Publish stores e and returns it with its sequence, or, with Existed set, the event that was
// there already:
//
//   - of a kind that exists once for a job, and Unrecognised, once for a body: the event on the
//     subject; from the cache it has source, job, kind, status, result, evidence and digest only;
//   - Progress and Conflict: the event with the same id.
//
// An event that was there is Hidden if it is encrypted: it is not decrypted here.
//
// Any number of callers and replicas may publish the same event at once; one of them stores it.
// The error is ErrUnavailable; the event may be stored all the same.
func (b *Store) Publish(ctx context.Context, e job.Event) (job.Stored, error) {
	if tracing.Of(ctx).On() {
		return traced.Publish(ctx, e, b.publish, func(ctx context.Context, subject string) job.Stored {
			there, _, _ := b.earlier(ctx, job.Event{}, subject) // a link that is missing costs nothing else
			return there
		})
	}
	return b.publish(ctx, e)
}

func (b *Store) publish(ctx context.Context, e job.Event) (job.Stored, error) {
	if err := b.enter(); err != nil {
		return job.Stored{}, err
	}
	defer b.leave()
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := e.Subject()
	if there, ok := b.recent.get(subject); ok {
		return there, nil
	}
	msg, err := b.message(subject, e)
	if err != nil {
		return job.Stored{}, err
	}
	stored, err := b.storeEvent(ctx, e, msg)
	switch {
	case err == nil && !stored.Existed:
		b.feed.publish(stored)
	case err != nil && !errors.Is(err, conn.ErrUnavailable):
		err = fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
	}
	return stored, err
}

// storeEvent stores an event under the condition of its kind. A body that is too large for a
// message goes to the object store.
func (b *Store) storeEvent(ctx context.Context, e job.Event, msg *message) (job.Stored, error) {
	object := ""
	if len(msg.data) > 0 && !b.fits(b.jobs, msg) {
		// A repeat would upload its body for nothing, each time that it is sent.
		there, _, err := b.earlier(ctx, e, msg.subject)
		if err != nil || there.Existed {
			return there, err
		}
		if object, err = b.moveToObjectStore(ctx, msg); err != nil {
			return job.Stored{}, err
		}
	}
	store := b.storeOnePerSubject
	if distinct(e.Kind) {
		store = b.storeOnePerID
	}
	stored, err := store(ctx, e, msg)
	if err == nil && stored.Existed && object != "" {
		b.removeUnusedObject(ctx, object, stored.Sequence)
	}
	return stored, err
}

// distinct reports whether one subject may hold several events of a kind, which differ by their
// ids.
func distinct(k job.Kind) bool { return k == job.Progress || k == job.Conflict }

// earlier returns the event on a subject that e repeats, with Existed set, if there is one, and the
// last sequence on that subject.
func (b *Store) earlier(ctx context.Context, e job.Event, subject string) (_ job.Stored, last uint64, _ error) {
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

// storeOnePerSubject stores the one event of a subject, in a batch with others that are published
// at the same time.
func (b *Store) storeOnePerSubject(ctx context.Context, e job.Event, msg *message) (job.Stored, error) {
	seq, err := b.events.add(ctx, msg)
	switch {
	case err == nil:
		stored := job.Stored{Event: e, Sequence: seq}
		b.recent.add(msg.subject, stored, msg.header.Digest())
		return stored, nil
	case !sender.Taken(err):
		return job.Stored{}, err
	}
	there, err := b.last(ctx, msg.subject)
	if err == nil {
		b.recent.add(msg.subject, there, []byte(there.Digest()))
	}
	there.Existed = true
	return there, err
}

// storeOnePerID stores one event for each id on a subject: it reads the events there, and publishes
// on the condition that none was added since.
func (b *Store) storeOnePerID(ctx context.Context, e job.Event, msg *message) (job.Stored, error) {
	for {
		there, last, err := b.earlier(ctx, e, msg.subject)
		if err != nil || there.Existed {
			return there, err
		}
		seq, err := b.sendAndWait(ctx, msg, expect(last))
		if err == nil {
			return job.Stored{Event: e, Sequence: seq}, nil
		}
		if !sender.Taken(err) {
			return job.Stored{}, err
		}
		if err := conn.Sleep(ctx, conn.LagPause); err != nil {
			return job.Stored{}, fmt.Errorf("%w: other clients publish on %s: %v", conn.ErrUnavailable, msg.subject, err)
		}
	}
}
