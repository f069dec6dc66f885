package publish

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// Record stores an attempt and waits for the acknowledgement. A body that is too large for a
// message is left out; its size and digest stay. Anyone can repeat attempts, so only their stream,
// which is bounded, may grow with them. The error is ErrUnavailable.
func (b *Store) Record(ctx context.Context, a job.Attempt) error {
	if err := b.enter(); err != nil {
		return fmt.Errorf("recording an attempt: %w", err)
	}
	defer b.leave()
	ctx, cancel := b.bound(ctx)
	defer cancel()
	if _, err := b.records.add(ctx, b.attempt(a)); err != nil {
		return fmt.Errorf("recording an attempt: %w", err)
	}
	return nil
}

func (b *Store) attempt(a job.Attempt) *message {
	msg := &message{a.Subject(), a.Header(), a.Body}
	if b.opts.Encrypt != nil {
		msg = b.encryptedAttempt(a)
	}
	if !b.fits(b.attempts, msg) {
		msg.header, msg.data = a.Header(), nil // nor is anything encrypted there
	}
	return msg
}

// Offer queues a refused attempt to be stored later. It never waits; it reports false, and counts,
// when the queue is full. So a flood of refusals loses records of refusals and nothing else. The
// attempt is made only if there is space in the queue.
func (b *Store) Offer(make func() job.Attempt) bool { return b.queue.offer(make) }

// Dropped returns how many attempts could not be stored since the start.
func (b *Store) Dropped() uint64 { return b.queue.dropped.Load() }

// AttemptsAtOnce is how many refused attempts are sent to the server at a time.
const AttemptsAtOnce = 64

// attemptQueue is a bounded queue with one rate-limited writer. Anyone can cause any number of
// refusals. Recording one costs about as much as answering it, and pushes an older record out of
// the stream, so the rate limits what a flood can change there.
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

// maxWaitingBytes is how many bytes of bodies may wait to be recorded. A limit of their number is
// not enough if limits.attempt_body is large.
const maxWaitingBytes = 32 << 20

func startAttemptQueue(b *Store) *attemptQueue {
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
			batch = q.addWaiting(append(batch[:0], a))
			q.store(ctx, b, batch)
			select {
			case <-time.After(time.Until(began.Add(time.Duration(len(batch)) * q.interval))):
			case <-q.stopping:
			}
		}
	}()
	return q
}

// addWaiting adds the attempts that are queued, but no more than the server stores quickly:
// callbacks wait behind them.
func (q *attemptQueue) addWaiting(batch []job.Attempt) []job.Attempt {
	size := len(batch[0].Body)
	for len(batch) < AttemptsAtOnce && size < conn.MaxBatchBytes {
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
func (q *attemptQueue) store(ctx context.Context, b *Store, batch []job.Attempt) {
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
		b.opts.Log.Warn().Err(failed).Uint64("records", lost).Msg("refused callbacks were not recorded")
	}
}

func (q *attemptQueue) offer(make func() job.Attempt) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if !q.closed && len(q.waiting) < cap(q.waiting) && q.bytes.Load() < maxWaitingBytes {
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

// stop accepts no more attempts and waits until the queued ones are stored; when ctx is done, the
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

// DrainAttempts accepts no more refused attempts and returns when the queued ones are stored, or
// dropped because ctx is done. Close does so too; between the two calls the streams can be read
// completely.
func (b *Store) DrainAttempts(ctx context.Context) error { return b.queue.stop(ctx) }
