package publish

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"receiver/internal/job"
)

// Record stores an attempt and waits for the acknowledgement. A body too large for a
// message is left out, its size and digest stay: attempts, which anyone can repeat, are
// bounded by their stream and must not grow anything else. Its error is ErrUnavailable.
func (b *Bus) Record(ctx context.Context, a job.Attempt) error {
	if err := b.refuse(); err != nil {
		return fmt.Errorf("recording an attempt: %w", err)
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	msg := &nats.Msg{Subject: a.Subject(), Header: a.Header(), Data: a.Body}
	if !b.fits(b.attempts, msg) {
		msg.Data = nil
	}
	if _, err := b.publish(ctx, msg); err != nil {
		return fmt.Errorf("recording an attempt: %w", err)
	}
	return nil
}

// Offer hands over a refused attempt to be stored when there is time. It never
// waits; it reports false, and counts, when the queue is full: a flood of refusals
// costs records of refusals and nothing else.
func (b *Bus) Offer(a job.Attempt) bool { return b.queue.offer(a) }

// Dropped returns how many attempts could not be stored since the start.
func (b *Bus) Dropped() uint64 { return b.queue.dropped.Load() }

// attemptQueue is a bounded queue with one writer behind it, so that refusals, of
// which an attacker can make any number, take at most one write at a time from the
// server that the authentic callbacks wait for.
type attemptQueue struct {
	mu      sync.RWMutex // guards closed against a send
	closed  bool
	waiting chan job.Attempt
	done    chan struct{}
	cancel  context.CancelFunc
	dropped atomic.Uint64
}

func startAttemptQueue(b *Bus, size int) *attemptQueue {
	ctx, cancel := context.WithCancel(context.Background())
	q := &attemptQueue{waiting: make(chan job.Attempt, size), done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(q.done)
		for a := range q.waiting {
			if ctx.Err() != nil {
				q.dropped.Add(1)
			} else if err := b.Record(ctx, a); err != nil {
				q.dropped.Add(1)
				b.opts.Log.Warn().Err(err).Str("subject", a.Subject()).Msg("attempt not recorded")
			}
		}
	}()
	return q
}

func (q *attemptQueue) offer(a job.Attempt) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if !q.closed {
		select {
		case q.waiting <- a:
			return true
		default:
		}
	}
	q.dropped.Add(1)
	return false
}

// stop takes no more and waits until what was taken is stored; when ctx is done, the
// rest is dropped.
func (q *attemptQueue) stop(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.waiting)
	}
	q.mu.Unlock()
	defer q.cancel()
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		q.cancel()
		<-q.done
		return fmt.Errorf("storing the attempts that wait: %w", ctx.Err())
	}
}
