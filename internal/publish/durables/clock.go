package durables

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

// consumer opens the durable consumer of a stream. That of the server in this process is reset to
// its first message that is not acknowledged, since then it forgets what it waits for: tasks that
// it handed out and that were not done are handed out at once, and some that were done once more.
func (s *Set) consumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	consumer, err := s.openDurable(ctx, stream, cfg)
	if err != nil || !s.local() {
		return consumer, err
	}
	if _, err := s.js.ResetConsumer(ctx, stream, cfg.Durable); err != nil {
		return nil, fmt.Errorf("having it begin at the first unacknowledged message: %w", err)
	}
	return s.js.Consumer(ctx, stream, cfg.Durable)
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
func (s *Set) watchClock(do func()) *clockWatch {
	w := &clockWatch{stop: func() {}}
	if !s.local() {
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
