package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// tail reads a stream and goes on with what comes. That something comes it hears as it is
// published; that is no more than a hint, and the leader's word counts, which is asked for
// without a hint, too.
type tail struct {
	*cursor
	hint  chan struct{} // of room for one
	heard []*nats.Subscription
	odd   int // looks in a row at which the stream was not as it must be
}

// The pauses between two looks: short after a hint, since what is published is about to be
// stored, and longer with each look.
const (
	minTailInterval = 2 * time.Millisecond
	maxTailInterval = time.Second
	// maxFailures is the number of checks that decide: a new leader may not have all messages yet.
	maxFailures = 3
)

// endPause is how long a server that could not be asked is left alone.
const endPause = 500 * time.Millisecond

// Follow calls yield with the messages of a stream, and goes on with what comes. It ends with
// ctx, with an error of yield, and when the stream is not any more what it was.
func Follow(ctx context.Context, js jetstream.JetStream, stream string, from From, yield func(*jetstream.RawStreamMsg) error) error {
	t, err := newTail(ctx, js, stream, from)
	if err != nil {
		return err
	}
	defer t.stop()
	for {
		m, err := t.follow(ctx)
		if err != nil {
			return err
		}
		if err := yield(m); err != nil {
			return err
		}
	}
}

// newTail begins to follow. It must be stopped.
func newTail(ctx context.Context, js jetstream.JetStream, stream string, from From) (*tail, error) {
	t := &tail{hint: make(chan struct{}, 1)}
	var err error
	if t.cursor, err = newCursor(ctx, js, stream, from); err != nil {
		return nil, err
	}
	t.sure = true // each look asks
	subjects := from.Subjects
	if len(subjects) == 0 {
		info, err := t.info(ctx)
		if err != nil {
			return nil, err
		}
		subjects = info.Config.Subjects
	}
	for _, subject := range subjects {
		heard, err := js.Conn().Subscribe(subject, func(*nats.Msg) {
			select {
			case t.hint <- struct{}{}:
			default:
			}
		})
		if err != nil {
			t.stop()
			return nil, fmt.Errorf("%w: listening on %s: %v", conn.ErrUnavailable, subject, err)
		}
		t.heard = append(t.heard, heard)
	}
	return t, nil
}

func (t *tail) stop() {
	for _, s := range t.heard {
		_ = s.Unsubscribe() // it fails only on a closed connection
	}
}

// follow returns the next message, when there is one. A server that cannot be asked for a while
// is waited for; a stream that is not what it was is an error.
func (t *tail) follow(ctx context.Context) (*jetstream.RawStreamMsg, error) {
	for wait := minTailInterval; ; {
		m, err := t.next(ctx)
		if m == nil && err == nil {
			err = t.check(ctx)
		}
		switch {
		case m != nil:
			return m, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ErrStalled), err != nil && t.js.Conn().IsClosed():
			return nil, err
		case err != nil:
			wait = endPause
		case t.at <= t.end:
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.hint:
			wait = minTailInterval
			_ = conn.Sleep(ctx, wait)
		case <-time.After(wait):
			wait = min(2*wait, maxTailInterval)
		}
	}
}

// look asks the leader whether there is more.
func (t *tail) check(ctx context.Context) error {
	info, err := t.info(ctx)
	if err == nil {
		err = t.same(info)
	}
	switch {
	case err == nil:
		t.end, t.odd = info.State.LastSeq, 0
		return nil
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, ErrStalled):
		if t.odd++; t.odd < maxFailures {
			return fmt.Errorf("%w: %v", conn.ErrUnavailable, err)
		}
		return fmt.Errorf("%w: %w", ErrStalled, err)
	}
	return err
}
