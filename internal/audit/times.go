package audit

import (
	"fmt"
	"time"
)

// ClockTolerance is by how much the clocks of servers that store one stream after another may
// differ, and how far a clock may be set back without a word. A server stamps each message by the
// clock of its machine; in a cluster that is the leader's.
const ClockTolerance = time.Minute

// Clock finds stored times that go back. Records are given in the order of their sequences.
type Clock struct {
	Latest time.Time // since the last time that went back, so that each step is found once
	Seq    uint64    // has it; 0 for the time before the first record
}

// Back returns why the time of a record contradicts those before it, or nothing.
func (c *Clock) Back(r Record) (why string) {
	if r.Time.Add(ClockTolerance).Before(c.Latest) {
		before := "the first checkpoint, when the stream was empty"
		if c.Seq > 0 {
			before = fmt.Sprintf("sequence %d, stored at %s", c.Seq, c.Latest.UTC().Format(time.RFC3339Nano))
		}
		why = fmt.Sprintf("it was stored at %s, but comes after %s: its time was changed, or the server's clock was set back",
			r.Time.UTC().Format(time.RFC3339Nano), before)
		c.Latest = r.Time
	}
	if !r.Time.Before(c.Latest) {
		c.Latest, c.Seq = r.Time, r.Seq
	}
	return why
}

// Future returns why a record cannot have been stored yet, or nothing.
func Future(r Record) string {
	now := time.Now()
	if !r.Time.After(now.Add(ClockTolerance)) {
		return ""
	}
	return fmt.Sprintf("it was stored at %s, but by the clock of this machine it is %s only: its time was changed, or the server's clock is ahead",
		r.Time.UTC().Format(time.RFC3339Nano), now.UTC().Format(time.RFC3339Nano))
}
