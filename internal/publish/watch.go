package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/sender"
)

// PutWatch stores w, acknowledged, and replaces the watch of the same job with the sequence
// w.Sequence; zero means that there must be none. It reports false, and stores nothing, if another
// one is there. The error is ErrUnavailable.
func (b *Store) PutWatch(ctx context.Context, w job.Watch) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	msg := &message{subject: job.WatchSubject(w.Source, w.Job), data: w.Data()}
	_, err := b.sendAndWait(ctx, msg, expect(w.Sequence))
	if sender.Taken(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("storing the watch on %s: %w", msg.subject, err)
	}
	return true, nil
}

// Watched returns the watch of a job, and whether there is one. The error is ErrUnavailable, unless
// the message there is no watch of this program.
func (b *Store) Watched(ctx context.Context, source, id string) (job.Watch, bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := job.WatchSubject(source, id)
	raw, err := b.watch.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return job.Watch{}, false, nil
	}
	if err != nil {
		return job.Watch{}, false, fmt.Errorf("%w: reading %s: %v", conn.ErrUnavailable, subject, err)
	}
	w, err := job.ParseWatch(raw.Subject, raw.Data)
	if err != nil {
		return job.Watch{}, false, fmt.Errorf("reading sequence %d of %s: %w", raw.Sequence, conn.WatchStream, err)
	}
	w.Sequence = raw.Sequence
	return w, true, nil
}

// Act records an action, acknowledged, and returns its sequence. Call it before the action, and do
// nothing on an error: an action that is not recorded must not happen. If the stream has no leader
// yet, as on a cluster that has just started, Act waits for one.
func (b *Store) Act(ctx context.Context, a job.Action) (uint64, error) {
	data, err := a.Data()
	if err != nil {
		return 0, err
	}
	sequence, err := conn.Retry(ctx, b.opts, func(ctx context.Context) (uint64, error) {
		return b.sendAndWait(ctx, &message{subject: a.Subject(), data: data}, nil)
	})
	if err != nil {
		return 0, fmt.Errorf("recording the action %s: %w", a.What, err)
	}
	return sequence, nil
}

// LastAction returns the newest action of a kind; false if there is none.
func (b *Store) LastAction(ctx context.Context, what string) (a job.Action, found bool, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := job.Action{What: what}.Subject()
	s, err := b.js.Stream(ctx, conn.ActionsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return a, false, nil
	}
	if err == nil {
		var raw *jetstream.RawStreamMsg
		if raw, err = s.GetLastMsgForSubject(ctx, subject); errors.Is(err, jetstream.ErrMsgNotFound) {
			return a, false, nil
		} else if err == nil {
			a, err = job.ParseAction(raw.Subject, raw.Data)
			return a, err == nil, err
		}
	}
	return a, false, fmt.Errorf("%w: reading the newest action %s: %v", conn.ErrUnavailable, what, err)
}
