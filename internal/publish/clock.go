package publish

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The server writes down by the wall clock when it handed out a message, and until when it waits
// with it, also on disk. When the clock was ahead and is set right, with or without a restart
// between, it waits for as long as the clock was ahead. The server in this process goes by our
// clock, so its consumers are opened in a way that trusts none of these times.

// errSetBack is why a consumer is opened anew.
var errSetBack = errors.New("the clock of this machine was set back")

// consumer opens the durable consumer of a stream. That of the server in this process is made
// anew where it begins at the first message again, since then it forgets what it waits for;
// what another one has handed out and was not done is done at once.
func (b *Bus) consumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig, do task) (jetstream.Consumer, error) {
	if b.server == nil {
		return b.openDurable(ctx, stream, cfg)
	}
	if stream == WatchStream {
		if err := b.js.DeleteConsumer(ctx, stream, cfg.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, err
		}
		return b.js.CreateOrUpdateConsumer(ctx, stream, cfg)
	}
	consumer, err := b.openDurable(ctx, stream, cfg)
	if err != nil {
		return nil, err
	}
	return consumer, b.catchUp(ctx, consumer.CachedInfo(), do)
}

// catchUp does what a consumer has handed out and nobody has acknowledged. What is not done
// by that is left to the consumer, as ever; what is done twice is done already.
func (b *Bus) catchUp(ctx context.Context, c *jetstream.ConsumerInfo, do task) error {
	if c.NumAckPending == 0 {
		return nil
	}
	r, err := newReader(ctx, b.js, c.Stream, readFrom{
		Position: Position{Sequence: c.AckFloor.Stream + 1}, subjects: c.Config.FilterSubjects, bare: c.Config.HeadersOnly,
	})
	if err != nil {
		return fmt.Errorf("reading what was not done: %w", err)
	}
	r.end = min(r.end, c.Delivered.Stream)
	for {
		raw, err := r.next(ctx)
		if raw == nil || err != nil {
			return err
		}
		meta := jetstream.MsgMetadata{Stream: c.Stream, Timestamp: raw.Time}
		meta.Sequence.Stream = raw.Sequence
		if _, err := do(ctx, asked{raw: raw}, &meta); err != nil {
			b.opts.Log.Error().Err(err).Str("subject", raw.Subject).Msg("message that is none of ours; left aside")
		}
	}
}

// clockWatch tells when the wall clock of this process is set back.
type clockWatch struct {
	back atomic.Bool
	stop func()
}

const (
	clockEvery = time.Second // how often it is looked at
	clockSlack = time.Minute // what is less is no matter
)

// watchClock calls do, once, when the clock that the server goes by is set back.
func (b *Bus) watchClock(do func()) *clockWatch {
	w := &clockWatch{stop: func() {}}
	if b.server == nil {
		return w
	}
	done := make(chan struct{})
	w.stop = func() { close(done) }
	began := time.Now()
	go func() {
		ahead := time.Duration(0) // how far the wall clock ran before the monotonic one, at most
		tick := time.NewTicker(clockEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			now := time.Now()
			off := now.Round(0).Sub(began.Round(0)) - now.Sub(began) // without and with the monotonic reading
			ahead = max(ahead, off)
			if ahead-off > clockSlack {
				w.back.Store(true)
				do()
				return
			}
		}
	}()
	return w
}
