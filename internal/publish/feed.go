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
)

// feed tells those who follow JOBS what this process stores there itself. To have each
// event handed back by the server would cost a good part of what storing it costs.
type feed struct {
	mu   sync.Mutex
	open map[*follower]struct{}
}

// follower holds what one reader has not read yet.
type follower struct {
	mu        sync.Mutex
	own       []job.Brief   // what this process has stored, as it was acknowledged
	announced []job.Brief   // submissions that somebody is storing, without sequences
	wake      chan struct{} // own has grown; of room for one
	heard     chan struct{} // announced has; of room for one
	changed   chan struct{} // what was read is not in the stream any more; of room for one
}

func (f *feed) follow() (r *follower, stop func()) {
	r = &follower{wake: make(chan struct{}, 1), heard: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
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

// tell tells of an event that was stored just now.
func (f *feed) tell(s job.Stored) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.open {
		r.add(s.Brief())
	}
}

// change ends the reading of all who follow, by job.ErrChanged.
func (f *feed) change() {
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
		wake = r.heard
	}
	r.mu.Unlock()
	select {
	case wake <- struct{}{}:
	default:
	}
}

// crowdPause is how long a follower waits, once something is stored, for what comes with it:
// to be told of a thousand events one by one costs more than to be told of them a few
// times. A submission that is announced ends the waiting, since its callback may follow soon.
const crowdPause = time.Millisecond

// crowd returns when what is there may be taken.
func (r *follower) crowd() {
	select {
	case <-r.heard:
	case <-time.After(crowdPause):
	}
}

// take returns what is announced and the events from next on, as far as none is missing,
// and the sequence to go on with. What comes after a gap is kept, and what was read
// otherwise is dropped.
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

// Pauses between two looks whether somebody else has stored something: short after a
// submission, since its callback may follow soon, and longer with each look.
const (
	shortLook = 5 * time.Millisecond
	longLook  = 250 * time.Millisecond
)

// looks says when it is looked next.
type looks struct {
	timer *time.Timer
	due   time.Time
	pause time.Duration
}

func (l *looks) later() {
	l.due = time.Now().Add(l.pause)
	l.timer.Reset(l.pause)
	l.pause = min(2*l.pause, longLook)
}

// soon brings the next look forward, and never puts it off: submissions may come one after
// the other for hours.
func (l *looks) soon() {
	l.pause = shortLook
	if time.Until(l.due) > shortLook {
		l.later()
	}
}

// follow gives the events from that sequence on, and goes on with what comes: what this
// process stores, as it is acknowledged, and what others store, by looking. A submission
// of others is announced before, by a brief of the sequence zero.
func (b *Bus) follow(ctx context.Context, next uint64, yield func([]job.Brief, error) bool) error {
	own, stop := b.feed.follow()
	defer stop()
	submissions, err := b.nc.Subscribe("jobs.*.*."+string(job.Submitted), func(m *nats.Msg) {
		if announced, err := job.ReadBrief(m.Subject, m.Header); err == nil {
			own.add(announced)
		}
	})
	if err != nil {
		return err
	}
	defer submissions.Unsubscribe() //nolint:errcheck // it fails only on a closed connection
	next = max(next, 1)
	stuck := next // what is missing since the last look; at first, all there is
	look := looks{timer: time.NewTimer(0), pause: shortLook}
	defer look.timer.Stop()
	for more := true; more; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-own.changed:
			return job.ErrChanged
		case <-look.timer.C:
			// What was missing before and is missing now is not on its way to us.
			if stuck == next {
				if next, more, err = b.readOn(ctx, next, yield); err != nil {
					return err
				}
			}
			stuck = next
			look.later()
			continue
		case <-own.heard:
		case <-own.wake:
			own.crowd()
		}
		var batch []job.Brief
		batch, next = own.take(next)
		if len(batch) > 0 {
			more = yield(batch, nil)
		}
		if len(batch) > 0 && batch[0].Sequence == 0 {
			look.soon()
		}
	}
	return nil
}

// readOn gives the events from that sequence on to the last there is, and returns the
// sequence after it. It reports false if no more are wanted. The replica that is read may
// not have yet what the leader has; the sequence returned is that of what was not read.
func (b *Bus) readOn(ctx context.Context, next uint64, yield func([]job.Brief, error) bool) (uint64, bool, error) {
	asking, cancel := b.bound(ctx)
	defer cancel()
	info, err := b.jobs.Info(asking)
	if err != nil {
		return next, false, fmt.Errorf("%w: asking for the end of stream %s: %v", ErrUnavailable, JobsStream, err)
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
