package doctor

import (
	"fmt"
	"time"
)

// Clock is a reading of another clock between two readings of the own one.
type Clock struct {
	// Whose it is, as in "the clock of …".
	Whose string
	// Theirs is what it showed, or up to Precision more.
	Theirs        time.Time
	Precision     time.Duration
	Before, After time.Time
}

// Differences from which a clock is a warning and an error.
const (
	clockOff   = 5 * time.Second
	clockWrong = 5 * time.Minute
)

// Skew returns by how much the other clock is at least ahead of ours; behind is negative.
func (c Clock) Skew() time.Duration {
	switch latest := c.Theirs.Add(c.Precision); {
	case latest.Before(c.Before):
		return latest.Sub(c.Before)
	case c.Theirs.After(c.After):
		return c.Theirs.Sub(c.After)
	}
	return 0
}

// Findings judges the difference. Without a time there is nothing to say.
func (c Clock) Findings() []Finding {
	if c.Theirs.IsZero() {
		return nil
	}
	skew := c.Skew()
	f := Finding{
		Severity: Warning,
		Why: "times in events, validity of keys, detection of overdue jobs and the age limit of NATS streams " +
			"depend on different clocks; one of the two is wrong",
		Change: "start time synchronisation on the machine with the wrong clock: `timedatectl set-ntp true`",
	}
	switch abs := skew.Abs(); {
	case abs > clockWrong:
		f.Severity = Error
	case abs <= clockOff:
		return []Finding{{What: fmt.Sprintf("the clocks of this machine and of %s agree", c.Whose)}}
	}
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	f.What = fmt.Sprintf("the clock of %s is %v %s the clock of this machine", c.Whose, skew.Abs().Round(time.Second), way)
	return []Finding{f}
}
