package publish

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"receiver/internal/job"
)

// Record stores an attempt and waits for the acknowledgement. A body too large for a
// message is left out, its size and digest stay: attempts, which anyone can repeat, are
// bounded by their stream and must not grow anything else. Its error is ErrUnavailable.
func (b *Bus) Record(ctx context.Context, a job.Attempt) error {
	if err := b.enter(); err != nil {
		return fmt.Errorf("recording an attempt: %w", err)
	}
	defer b.leave()
	ctx, cancel := b.bound(ctx)
	defer cancel()
	if _, err := b.records.publish(ctx, b.attempt(a)); err != nil {
		return fmt.Errorf("recording an attempt: %w", err)
	}
	return nil
}

func (b *Bus) attempt(a job.Attempt) *message {
	msg := &message{a.Subject(), a.Header(), a.Body}
	if b.opts.Hide != nil {
		msg = b.hiddenAttempt(a)
	}
	if !b.fits(b.attempts, msg) {
		msg.header, msg.data = a.Header(), nil // nor is anything encrypted there
	}
	return msg
}

// Offer hands over a refused attempt to be stored when there is time. It never
// waits; it reports false, and counts, when the queue is full: a flood of refusals
// costs records of refusals and nothing else. The attempt is made only if there is room.
func (b *Bus) Offer(make func() job.Attempt) bool { return b.queue.offer(make) }

// Dropped returns how many attempts could not be stored since the start.
func (b *Bus) Dropped() uint64 { return b.queue.dropped.Load() }

// AttemptsAtOnce is how many refused attempts are on their way to the server at a time.
const AttemptsAtOnce = 64

// attemptQueue is a bounded queue with one writer behind it that keeps to a rate. Anybody
// can make any number of refusals. A record of one costs about as much as its answer, and
// pushes an older one out of the stream, so what a flood leaves on record is bounded.
type attemptQueue struct {
	mu       sync.RWMutex // guards closed against a send
	closed   bool
	waiting  chan job.Attempt
	interval time.Duration // from one attempt to the next
	stopping chan struct{}
	done     chan struct{}
	cancel   context.CancelFunc
	dropped  atomic.Uint64
	bytes    atomic.Int64 // of the bodies that wait
}

// mostWaiting is how many bytes of bodies may wait to be recorded: their number bounds nothing
// where limits.attempt_body is large.
const mostWaiting = 32 << 20

func startAttemptQueue(b *Bus) *attemptQueue {
	ctx, cancel := context.WithCancel(context.Background())
	q := &attemptQueue{
		waiting: make(chan job.Attempt, b.opts.AttemptQueue), interval: time.Second / time.Duration(b.opts.AttemptRate),
		stopping: make(chan struct{}), done: make(chan struct{}), cancel: cancel,
	}
	go func() {
		defer close(q.done)
		batch := make([]job.Attempt, 0, AttemptsAtOnce)
		for a := range q.waiting {
			began := time.Now()
			batch = q.gather(append(batch[:0], a))
			q.store(ctx, b, batch)
			select {
			case <-time.After(time.Until(began.Add(time.Duration(len(batch)) * q.interval))):
			case <-q.stopping:
			}
		}
	}()
	return q
}

// gather adds what waits already, and no more than the server takes in quickly: callbacks
// wait behind it.
func (q *attemptQueue) gather(batch []job.Attempt) []job.Attempt {
	size := len(batch[0].Body)
	for len(batch) < AttemptsAtOnce && size < maxBatchBytes {
		select {
		case a, open := <-q.waiting:
			if !open {
				return batch
			}
			batch = append(batch, a)
			size += len(a.Body)
		default:
			return batch
		}
	}
	return batch
}

// store stores a batch and waits until each attempt is acknowledged, or has failed.
func (q *attemptQueue) store(ctx context.Context, b *Bus, batch []job.Attempt) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	all := make([]*pending, len(batch))
	for i, a := range batch {
		all[i] = &pending{ctx: ctx, msg: b.attempt(a), done: make(chan outcome, 1)}
	}
	b.records.commit(all)
	for _, a := range batch {
		q.bytes.Add(-int64(len(a.Body)))
	}
	clear(batch) // or the last bodies stay
	var failed error
	lost := uint64(0)
	for _, p := range all {
		if o := <-p.done; o.err != nil {
			failed, lost = o.err, lost+1
		}
	}
	if lost > 0 {
		q.dropped.Add(lost)
		b.opts.Log.Warn().Err(failed).Uint64("attempts", lost).Msg("refused attempts not recorded")
	}
}

func (q *attemptQueue) offer(make func() job.Attempt) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if !q.closed && len(q.waiting) < cap(q.waiting) && q.bytes.Load() < mostWaiting {
		a := make()
		q.bytes.Add(int64(len(a.Body)))
		select {
		case q.waiting <- a:
			return true
		default:
			q.bytes.Add(-int64(len(a.Body)))
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
		close(q.stopping)
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
