package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// PutWatch stores w, acknowledged, in the place of the watch of the same job with
// w.Sequence; zero means that there must be none. It reports false, and stores nothing,
// if another one is there. Its error is ErrUnavailable.
func (b *Bus) PutWatch(ctx context.Context, w job.Watch) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	msg := &message{subject: job.WatchSubject(w.Source, w.Job), data: w.Data()}
	_, err := b.publish(ctx, msg, expect(w.Sequence))
	if isTaken(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("storing the watch on %s: %w", msg.subject, err)
	}
	return true, nil
}

// Watched returns the watch of a job, and whether there is one. Its error is
// ErrUnavailable, unless what is there is none of ours.
func (b *Bus) Watched(ctx context.Context, source, id string) (job.Watch, bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := job.WatchSubject(source, id)
	raw, err := b.watch.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return job.Watch{}, false, nil
	}
	if err != nil {
		return job.Watch{}, false, fmt.Errorf("%w: reading %s: %v", ErrUnavailable, subject, err)
	}
	w, err := job.ParseWatch(raw.Subject, raw.Data)
	if err != nil {
		return job.Watch{}, false, fmt.Errorf("reading sequence %d of %s: %w", raw.Sequence, WatchStream, err)
	}
	w.Sequence = raw.Sequence
	return w, true, nil
}
