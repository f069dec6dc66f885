package publish

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// feed passes the events that this process stores in JOBS to its readers. To receive each event
// from the server would cost a large part of what storing it costs.
type feed struct {
	mu   sync.Mutex
	open map[*follower]struct{}
}

// follower holds the events that one reader has not read yet.
type follower struct {
	mu            sync.Mutex
	own           []job.Brief   // events that this process stored, in the order of acknowledgement
	announced     []job.Brief   // submissions that are being stored, without sequences
	wake          chan struct{} // own has grown; with a buffer of one
	wakeAnnounced chan struct{} // announced has grown; with a buffer of one
	changed       chan struct{} // events that were read are no longer in the stream; with a buffer of one
}

func (f *feed) follow() (r *follower, stop func()) {
	r = &follower{wake: make(chan struct{}, 1), wakeAnnounced: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = map[*follower]struct{}{}
	}
	f.open[r] = struct{}{}
	return r, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.open, r)
	}
}

// publish passes on an event that was stored just now.
func (f *feed) publish(s job.Stored) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.open {
		r.add(s.Brief())
	}
}

// invalidate ends all readers, with job.ErrChanged.
func (f *feed) invalidate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.open {
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}
}

func (r *follower) add(b job.Brief) {
	wake := r.wake
	r.mu.Lock()
	if b.Sequence > 0 {
		r.own = append(r.own, b)
	} else {
		r.announced = append(r.announced, b)
		wake = r.wakeAnnounced
	}
	r.mu.Unlock()
	select {
	case wake <- struct{}{}:
	default:
	}
}

// batchDelay is how long a follower waits, once an event is stored, for further ones: to receive a
// thousand events one by one costs more than to receive them in a few batches. An announced
// submission ends the wait, since its callback may follow soon.
const batchDelay = time.Millisecond

// waitForMore returns when the events may be taken.
func (r *follower) waitForMore() {
	select {
	case <-r.wakeAnnounced:
	case <-time.After(batchDelay):
	}
}

// take returns the announced submissions and the events from next on, up to the first gap, and the
// sequence to continue with. It keeps events behind the gap, and drops events that were read
// otherwise.
func (r *follower) take(next uint64) ([]job.Brief, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.own, func(a, b job.Brief) int { return cmp.Compare(a.Sequence, b.Sequence) })
	batch := slices.Grow(r.announced, len(r.own))
	r.announced = nil
	for i, e := range r.own {
		if e.Sequence > next {
			r.own = slices.Delete(r.own, 0, i)
			return batch, next
		}
		if e.Sequence == next {
			next++
			if e.Kind != job.Unrecognised { // which is of no job
				batch = append(batch, e)
			}
		}
	}
	r.own = r.own[:0]
	return batch, next
}

// Intervals between two checks whether another process has stored something: short after a
// submission, since its callback may follow soon, and longer with each check.
const (
	minPollInterval = 5 * time.Millisecond
	maxPollInterval = 250 * time.Millisecond
)

// pollTimer schedules the next check.
type pollTimer struct {
	timer *time.Timer
	due   time.Time
	pause time.Duration
}

func (l *pollTimer) reset() {
	l.due = time.Now().Add(l.pause)
	l.timer.Reset(l.pause)
	l.pause = min(2*l.pause, maxPollInterval)
}

// hasten brings the next check forward, and never delays it: submissions may follow each other for
// hours.
func (l *pollTimer) hasten() {
	l.pause = minPollInterval
	if time.Until(l.due) > minPollInterval {
		l.reset()
	}
}

// follow yields the events from a sequence on, and continues with new ones: those that this process
// stores, when they are acknowledged, and those of other processes, by polling. A submission of
// another process is announced before, by a brief of the sequence zero.
func (b *Store) follow(ctx context.Context, next uint64, yield func([]job.Brief, error) bool) error {
	own, stop := b.feed.follow()
	defer stop()
	submissions, err := b.nc.Subscribe(job.Pattern("", "", job.Submitted), func(m *nats.Msg) {
		if announced, err := job.ReadBrief(m.Subject, job.LookupIn(m.Header)); err == nil {
			own.add(announced)
		}
	})
	if err != nil {
		return err
	}
	defer submissions.Unsubscribe() //nolint:errcheck // it fails only on a closed connection
	next = max(next, 1)
	stuck := next // the sequence missing at the last check; at first, the first one
	poll := pollTimer{timer: time.NewTimer(0), pause: minPollInterval}
	defer poll.timer.Stop()
	for more := true; more; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-own.changed:
			return job.ErrChanged
		case <-poll.timer.C:
			// A sequence that was missing at the last check and still is was not stored by this
			// process.
			if stuck == next {
				if next, more, err = b.readOn(ctx, next, yield); err != nil {
					return err
				}
			}
			stuck = next
			poll.reset()
			continue
		case <-own.wakeAnnounced:
		case <-own.wake:
			own.waitForMore()
		}
		var batch []job.Brief
		batch, next = own.take(next)
		if len(batch) > 0 {
			more = yield(batch, nil)
		}
		if len(batch) > 0 && batch[0].Sequence == 0 {
			poll.hasten()
		}
	}
	return nil
}

// readOn yields the events from a sequence on to the last one, and returns the sequence after it.
// It reports false if no more are wanted. It may read a replica that lags behind the leader; the
// sequence returned is that of the first event that was not read.
func (b *Store) readOn(ctx context.Context, next uint64, yield func([]job.Brief, error) bool) (uint64, bool, error) {
	asking, cancel := b.bound(ctx)
	defer cancel()
	info, err := b.jobs.Info(asking)
	if err != nil {
		return next, false, fmt.Errorf("%w: asking for the end of stream %s: %v", conn.ErrUnavailable, conn.JobsStream, err)
	}
	next = max(next, info.State.FirstSeq)
	if info.State.LastSeq < next {
		return next, true, nil
	}
	more := true
	last, err := b.briefs(ctx, next, func(batch []job.Brief, err error) bool {
		more = yield(batch, err)
		return more
	})
	return max(next, last+1), more, err
}
