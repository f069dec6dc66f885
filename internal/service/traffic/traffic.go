// Package traffic counts callbacks by minute, from the headers of JOBS and ATTEMPTS, and marks in
// ACTIONS what happened to receivers meanwhile. So it counts what all replicas received, before the
// last restart too, and the records that GET /v1/callbacks lists.
//
// Nothing is read until somebody asks, and then each message once: what was counted is kept. The
// newest are read first. An answer that needs more than a moment says how far back its counts
// reach, and the reading goes on. Receiving a callback costs nothing here.
package traffic

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"receiver/api"
	"receiver/internal/callback"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/when"
)

const (
	accepted     = callback.Accepted
	unrecognised = callback.Unrecognised

	// longest is how far back a request may ask, and usual is how far one does that does not say.
	longest     = 24 * time.Hour
	mostMinutes = int64(longest / time.Minute)
	usual       = "3h"

	// answerTime is how long an answer may wait for the reading, and firstTime if nothing was read.
	answerTime = 40 * time.Millisecond
	firstTime  = 120 * time.Millisecond
)

// Counter counts callbacks by minute. Run must run.
type Counter struct {
	bus   *publish.Store
	now   func() time.Time
	asked chan struct{} // with a buffer of one

	mu         sync.Mutex
	spans      [2]*span
	marks      marks
	since      time.Time // how far back is to be read
	waiting    []chan error
	until      time.Time // what was stored before is counted; zero if nothing was read
	unrecorded map[int64]uint64
	dropped    uint64 // of the store, when it was last asked
}

// New returns a counter of the callbacks in a store. Nil is time.Now.
func New(bus *publish.Store, now func() time.Time) *Counter {
	if now == nil {
		now = time.Now
	}
	return &Counter{
		bus: bus, now: now, asked: make(chan struct{}, 1), unrecorded: map[int64]uint64{},
		spans: [2]*span{{stream: conn.JobsStream}, {stream: conn.AttemptsStream}},
	}
}

// Run reads what is asked for until ctx is done.
func (c *Counter) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.sample()
		case <-c.asked:
			err := c.read(ctx)
			c.mu.Lock()
			for _, w := range c.waiting {
				w <- err
			}
			c.waiting, c.since = nil, time.Time{}
			c.mu.Unlock()
		}
	}
}

// sample notes how many refusals could not be recorded since the last sample.
func (c *Counter) sample() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all := c.bus.Dropped(); all > c.dropped {
		c.unrecorded[minuteOf(c.now())] += all - c.dropped
		c.dropped = all
	}
	prune(c.unrecorded, c.now())
}

// read counts what came since, and then older messages, as far back as is asked for.
func (c *Counter) read(ctx context.Context) error {
	for {
		c.sample()
		if err := c.readOn(ctx); err != nil {
			return err
		}
		for again := false; !again; {
			more, err := c.readBack(ctx)
			if !more || err != nil {
				return err
			}
			select {
			case <-c.asked:
				again = true // somebody else waits for what came since
			default:
			}
		}
	}
}

// readOn counts what came since.
func (c *Counter) readOn(ctx context.Context) error {
	began := c.now()
	for _, s := range c.spans {
		extent, err := c.bus.Extent(ctx, s.stream)
		if err != nil {
			return err
		}
		c.mu.Lock()
		s.reach(extent, c.now())
		prune(s.counts.minutes, c.now())
		c.mu.Unlock()
		for s.high <= extent.Last {
			to := min(extent.Last, s.high+within(extent, partMessages, partBytes)-1)
			if err := c.count(ctx, s, s.high, to); err != nil {
				return err
			}
		}
	}
	next := c.marks // of this goroutine only, but for reading
	err := next.follow(ctx, c.bus, c.now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.marks, c.until = next, began
	}
	return err
}

// readBack counts older messages of the stream whose counts reach back least, and reports whether
// there is more to read.
func (c *Counter) readBack(ctx context.Context) (more bool, err error) {
	s := c.short()
	if s == nil {
		return false, nil
	}
	size := within(s.extent, partMessages, partBytes)
	from := max(s.extent.First, s.low-min(size, s.low-1), 1)
	return true, c.count(ctx, s, from, s.low-1)
}

// short returns the stream whose counts reach back least, if they are to reach further.
func (c *Counter) short() *span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var least *span
	for _, s := range c.spans {
		if s.from().After(c.since) && s.further() && (least == nil || s.from().After(least.from())) {
			least = s
		}
	}
	return least
}

// count reads messages and counts them, all or none.
func (c *Counter) count(ctx context.Context, s *span, from, to uint64) error {
	p, err := s.read(ctx, c.bus, from, to)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.add(p)
	return nil
}

// Traffic answers GET /v1/traffic.
func (c *Counter) Traffic(ctx context.Context, p api.GetTrafficParams) (api.Traffic, error) {
	now := c.now()
	since, err := when.Parse(cmp.Or(p.Since, usual), now)
	switch {
	case err != nil:
		return api.Traffic{}, api.BadRequest.Problem("since %v", err)
	case since.After(now):
		return api.Traffic{}, api.BadRequest.Problem("since %s is in the future", p.Since)
	case now.Sub(since) > longest+time.Minute:
		return api.Traffic{}, api.BadRequest.Problem("since %s is more than 24 hours ago: GET /v1/callbacks lists older callbacks", p.Since)
	}
	since = since.Truncate(time.Minute)
	read, timeout := c.ask(since)
	select {
	case err := <-read:
		if err != nil {
			return api.Traffic{}, err
		}
	case <-time.After(timeout):
	case <-ctx.Done():
		return api.Traffic{}, ctx.Err()
	}
	return c.answer(since.UTC(), p.Source), nil
}

// ask has the callbacks since a time read, and returns when to answer at the latest.
func (c *Counter) ask(since time.Time) (<-chan error, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 || since.Before(c.since) {
		c.since = since
	}
	read := make(chan error, 1)
	c.waiting = append(c.waiting, read)
	select {
	case c.asked <- struct{}{}:
	default:
	}
	if c.until.IsZero() {
		return read, firstTime
	}
	return read, answerTime
}

// answer returns what was counted since a time.
func (c *Counter) answer(since time.Time, sources []string) api.Traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := api.Traffic{Since: since, Until: c.until.UTC(), From: since, Minutes: []api.TrafficMinute{}, Marks: []api.TrafficMark{}}
	for _, s := range c.spans {
		if from := s.from(); from.After(since) {
			t.From = later(t.From, from.Add(time.Minute-time.Nanosecond).Truncate(time.Minute).UTC())
			t.Reading = t.Reading || s.further()
		}
	}
	if c.until.IsZero() {
		t.Until = c.now().UTC()
		t.From, t.Reading = t.Until.Truncate(time.Minute), true
	}
	t.Complete = t.From.Equal(since)
	all := map[int64]*api.TrafficMinute{}
	at := func(minute int64) *api.TrafficMinute {
		if all[minute] == nil {
			all[minute] = &api.TrafficMinute{Minute: time.Unix(minute*60, 0).UTC()}
		}
		return all[minute]
	}
	for _, s := range c.spans {
		s.counts.each(minuteOf(t.From), sources, func(minute int64, verdict string, n int64) { put(at(minute), verdict, n) })
	}
	for minute, n := range c.unrecorded {
		if minute >= minuteOf(t.From) && len(sources) == 0 {
			at(minute).Unrecorded = int64(n)
		}
	}
	for _, m := range all {
		t.Minutes = append(t.Minutes, *m)
	}
	slices.SortFunc(t.Minutes, func(a, b api.TrafficMinute) int { return a.Minute.Compare(b.Minute) })
	for _, m := range c.marks.all {
		if !m.Time.Before(since) {
			t.Marks = append(t.Marks, m)
		}
	}
	return t
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// put adds a count to a minute.
func put(m *api.TrafficMinute, verdict string, n int64) {
	switch verdict {
	case accepted:
		m.Accepted += n
	case unrecognised:
		m.Unrecognised += n
	case callback.Duplicate:
		m.Duplicate += n
	case callback.Late:
		m.Late += n
	case callback.Quarantined:
		m.Quarantined += n
	case callback.Unconfirmed:
		m.Unconfirmed += n
	default:
		if m.Refused == nil {
			m.Refused = map[string]int64{}
		}
		m.Refused[verdict] += n
	}
}
