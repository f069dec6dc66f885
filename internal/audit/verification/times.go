package verification

import (
	"time"

	"receiver/internal/audit"
)

// clockGrace is by how much clocks may have been wrong, or put right, between a record and a
// checkpoint over it. An attacker who sets times back to hide a record sets them back by days.
const clockGrace = time.Hour

// newClock returns a clock of records none of which was stored before the log was begun; a zero
// time is none. A sealer may have been suspended between its first look and its first signature.
func newClock(begun time.Time) audit.Clock {
	if begun.IsZero() {
		return audit.Clock{}
	}
	return audit.Clock{Latest: begun.Add(-clockGrace)}
}

// begun returns when the log had no record yet, by the time of the checkpoint of the empty tree;
// zero without one, or if no place says when it was made.
func (v *verification) begun() time.Time {
	if v.of.First == 1 && len(v.good) > 0 && v.good[0].tree.N == 0 {
		return v.good[0].time
	}
	return time.Time{}
}
