package publish

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// choice decides whether the messages of a stream are stored one by one or in batches: as was
// faster when both were tried. A batch costs the server about twice the work of its messages, and
// saves an fsync for each but one. No setting tells which of the two counts more, and a cluster may
// change it at any time. So both ways are tried under load, for some hundred messages each: on each
// new connection, when the speed changes, and now and then.
type choice struct {
	now        func() time.Time
	connection func() uint64 // the number of the connection
	log        zerolog.Logger

	mu       sync.Mutex
	number   uint64     // of the connection that this is known of
	way      way        // in use
	trial    bool       // way is tried; the other was in use before
	cost     [2]float64 // by way, seconds for a message in its last trial; 0 if there was none
	sum      float64    // seconds for the messages of this window
	messages int        // of this window
	pause    time.Duration
	again    time.Time // when the other way is tried again
}

// way is how messages are stored.
type way int

const (
	oneByOne way = iota
	inBatches
)

func (w way) String() string {
	if w == inBatches {
		return "in batches"
	}
	return "one by one"
}

// The ways differ only while several callers store something, so only then it is measured, in
// windows of so many messages. The other way takes over if it needs less than betterBy of the time.
// A speed that changes by changedBy within a way is a reason to try the other at once.
const (
	measuredCallers = 8
	windowMessages  = 512
	betterBy        = 0.9
	changedBy       = 2
	minTrialPause   = 10 * time.Second
	maxTrialPause   = 5 * time.Minute
)

// current returns the way for the next message. It is inBatches for a nil choice.
func (c *choice) current() way {
	if c == nil {
		return inBatches
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.connection(); n != c.number {
		c.number, c.way, c.trial, c.cost, c.pause, c.again = n, oneByOne, false, [2]float64{}, 0, time.Time{}
		c.sum, c.messages = 0, 0
	}
	return c.way
}

// note tells that a message was stored in a way, how long that took, and how many callers were
// storing one then. The time for a message is that of all divided by their number.
func (c *choice) note(w way, took time.Duration, callers int) {
	if c == nil || callers < measuredCallers {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w != c.way {
		return // it began before the last change
	}
	c.sum += took.Seconds() / float64(callers)
	if c.messages++; c.messages < windowMessages {
		return
	}
	cost := c.sum / float64(c.messages)
	c.sum, c.messages = 0, 0
	if c.trial {
		c.judge(cost)
	} else {
		c.tryOther(cost)
	}
}

// tryOther begins a trial of the other way if one is due, after a window of the way in use.
func (c *choice) tryOther(cost float64) {
	known := c.cost[c.way]
	changed := cost > known*changedBy || cost < known/changedBy // so is the first, whose is zero
	if !changed && c.now().Before(c.again) {
		return
	}
	if changed {
		c.pause = 0
	}
	c.cost[c.way] = cost
	c.trial, c.way = true, 1-c.way
}

// judge ends the trial of a way.
func (c *choice) judge(cost float64) {
	tried, before := c.way, 1-c.way
	c.trial, c.cost[tried] = false, cost
	if cost < c.cost[before]*betterBy {
		c.pause = 0
		c.log.Info().Stringer("way", tried).Float64("one_by_one_us", c.cost[oneByOne]*1e6).Float64("in_batches_us", c.cost[inBatches]*1e6).
			Msg("messages are now stored in the way that was faster")
	} else {
		c.way = before
	}
	c.pause = min(max(2*c.pause, minTrialPause), maxTrialPause)
	c.again = c.now().Add(c.pause)
}
