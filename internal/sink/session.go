package sink

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"receiver/internal/job"
)

// session posts the events of one sink while this process holds its lease.
type session struct {
	*Sinks
	sink    Sink
	slots   chan struct{} // one for each post at once
	changed chan struct{} // there may be room again; with a buffer of one
	work    sync.WaitGroup
	fail    context.CancelCauseFunc // ends the session
	posting context.Context         // of posts; outlives the session for a moment

	mu       sync.Mutex
	lanes    map[string]*lane // by job
	waiting  int              // events that were handed out and are not done
	retrying int              // lanes with a record
	full     bool             // it was logged that no more events are read
	seen     uint64           // of Records.SinkChanges, whose records are in the lanes
}

// lane is the events of one job that are open. One goroutine works on it while it is busy; its
// record is replaced, never changed, by that goroutine or while it is not busy.
type lane struct {
	job    string
	queue  []job.Handed  // handed out and not done, in the order of the stream
	record *job.Delivery // what was not accepted; nil if nothing
	busy   bool
}

func (s *Sinks) newSession(k Sink) *session {
	return &session{
		Sinks: s, sink: k, slots: make(chan struct{}, s.limits.atOnce), changed: make(chan struct{}, 1), lanes: map[string]*lane{},
	}
}

// run posts until ctx is done or the store fails, and returns why it ended.
func (x *session) run(ctx context.Context) error {
	ctx, x.fail = context.WithCancelCause(ctx)
	defer x.fail(nil)
	posting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(x.limits.grace, stop) })()
	x.posting = posting
	if err := x.reload(ctx); err != nil {
		return err
	}
	x.work.Go(func() { x.look(ctx) })
	x.work.Go(func() { x.forget(ctx) })
	x.fail(x.o.Store.Take(ctx, x.sink.Name, x.sink.filters(), x.sink.Oldest, x.room, func(h job.Handed) { x.hand(ctx, h) }))
	x.work.Wait()
	for _, l := range x.lanes {
		for _, h := range l.queue {
			_ = h.Return() // else it is handed out again half a minute later
		}
	}
	return context.Cause(ctx)
}

// room waits until more events may be handed out, and returns how many.
func (x *session) room(ctx context.Context) int {
	for {
		x.mu.Lock()
		// Each event that comes may be one more job that is not accepted.
		n := min(x.limits.waiting, x.limits.retrying-x.retrying) - x.waiting
		full := x.retrying >= x.limits.retrying
		if full != x.full {
			x.full = full
			if full {
				x.o.Log.Error().Str("sink", x.sink.Name).Int("jobs", x.retrying).Msg("a sink accepts no events of too many jobs; no further events are read for it until it does")
			}
		}
		x.mu.Unlock()
		if n > 0 {
			return n
		}
		select {
		case <-ctx.Done():
			return 0
		case <-x.changed:
		}
	}
}

// hand puts an event into the lane of its job.
func (x *session) hand(ctx context.Context, h job.Handed) {
	of, _ := job.CutKind(h.Subject)
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.lane(of)
	l.queue = append(l.queue, h)
	x.waiting++
	x.start(ctx, l)
}

// lane returns the lane of a job; x.mu is held.
func (x *session) lane(of string) *lane {
	l := x.lanes[of]
	if l == nil {
		l = &lane{job: of}
		x.lanes[of] = l
	}
	return l
}

// start begins to work on a lane, unless somebody does; x.mu is held.
func (x *session) start(ctx context.Context, l *lane) {
	if !l.busy {
		l.busy = true
		x.work.Go(func() { x.drive(ctx, l) })
	}
}

// drive works on a lane until nothing is to be done now.
func (x *session) drive(ctx context.Context, l *lane) {
	for {
		x.mu.Lock()
		idle := len(l.queue) == 0 && (l.record == nil || time.Now().Before(l.record.Due))
		if idle || ctx.Err() != nil {
			l.busy = false
			if len(l.queue) == 0 && l.record == nil {
				delete(x.lanes, l.job)
			}
			x.mu.Unlock()
			return
		}
		queue := slices.Clone(l.queue)
		x.mu.Unlock()
		if err := x.step(ctx, l, queue); err != nil {
			x.fail(err)
		}
	}
}

// finish takes events off the consumer that are the first in the queue of a lane.
func (x *session) finish(l *lane, done []job.Handed) error {
	x.mu.Lock()
	l.queue = l.queue[len(done):]
	x.waiting -= len(done)
	x.mu.Unlock()
	x.wake()
	for _, h := range done {
		if err := h.Done(); err != nil {
			return err
		}
	}
	return nil
}

func (x *session) wake() {
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

// put stores another record of a lane. If somebody else has stored one, the lane has that one.
func (x *session) put(ctx context.Context, l *lane, d job.Delivery) error {
	sequence, stored, err := x.o.Store.PutDelivery(ctx, d)
	if err != nil {
		return err
	}
	if !stored {
		return x.refresh(ctx, l)
	}
	d.Sequence = sequence
	x.set(l, &d)
	return nil
}

// remove removes the record of a lane, unless somebody else has stored one.
func (x *session) remove(ctx context.Context, l *lane) error {
	removed, err := x.o.Store.RemoveDelivery(ctx, *l.record)
	if err != nil {
		return err
	}
	if !removed {
		return x.refresh(ctx, l)
	}
	x.set(l, nil)
	return nil
}

// refresh reads the record of a lane.
func (x *session) refresh(ctx context.Context, l *lane) error {
	var found *job.Delivery
	for d, err := range x.o.Store.Deliveries(ctx, job.SinkPattern(x.sink.Name, false, l.job), 0) {
		if err != nil {
			return err
		}
		found = &d
	}
	x.set(l, found)
	return nil
}

func (x *session) set(l *lane, d *job.Delivery) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.setLocked(l, d)
}

// setLocked replaces the record of a lane; x.mu is held.
func (x *session) setLocked(l *lane, d *job.Delivery) {
	if l.record != nil {
		x.retrying--
	}
	if d != nil {
		x.retrying++
		if d.Sequence == x.seen+1 {
			x.seen++ // our own, so that it need not be read
		}
	}
	l.record = d
	x.wake()
}

// errMadeAgain ends a session whose records are not there any more.
var errMadeAgain = errors.New("the stream of the records was made again")

// look starts what is due, and reads what others have stored, until ctx is done.
func (x *session) look(ctx context.Context) {
	for sleep(ctx, x.limits.look) {
		known := x.known()
		changes, err := x.o.Store.SinkChanges(ctx)
		switch {
		case err != nil:
		case changes < known:
			err = errMadeAgain
		case changes > x.known():
			err = x.reload(ctx)
		}
		if err != nil && ctx.Err() == nil {
			x.fail(err)
			return
		}
		now := time.Now()
		x.mu.Lock()
		for _, l := range x.lanes {
			if l.record != nil && !now.Before(l.record.Due) {
				x.start(ctx, l)
			}
		}
		x.mu.Unlock()
	}
}

// known is the sequence up to which the lanes have the records.
func (x *session) known() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen
}

// reload reads the new records of the sink. It leaves alone the lanes that are being worked
// on, and has them looked at later.
func (x *session) reload(ctx context.Context) error {
	seen, err := x.o.Store.SinkChanges(ctx)
	if err != nil {
		return err
	}
	busy := false
	for d, err := range x.o.Store.Deliveries(ctx, job.SinkPattern(x.sink.Name, false, ">"), x.known()) {
		if err != nil {
			return err
		}
		x.mu.Lock()
		switch l := x.lane(d.Job); {
		case l.busy:
			busy = true
		case l.record == nil || l.record.Sequence < d.Sequence:
			x.setLocked(l, &d)
		}
		x.mu.Unlock()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !busy {
		x.seen = max(x.seen, seen)
	}
	return nil
}

// forgetEvery is the pause between two removals of records whose events are not kept any more.
const forgetEvery = time.Hour

func (x *session) forget(ctx context.Context) {
	for {
		if err := x.o.Store.ForgetDeliveries(ctx, x.sink.Name); err != nil && ctx.Err() == nil {
			x.fail(err)
		}
		if !sleep(ctx, forgetEvery) {
			return
		}
	}
}
