package verification

import (
	"fmt"
	"slices"
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

// late returns why a record that one checkpoint covers first was not there when it says, or
// nothing. While a receiver runs it is sealed soon. A start may find older ones unsealed, but then
// nothing was sealed in between. The first checkpoint of a log may be of an old stream.
func (v *verification) late(cover int, r audit.Record) string {
	if cover == 0 || cover >= len(v.good) {
		return ""
	}
	sealed := v.good[cover].time
	for _, k := range v.good[cover:] { // one with cosignatures may be kept where no time is
		if k.tree.N == v.good[cover].tree.N && !k.time.IsZero() && (sealed.IsZero() || k.time.Before(sealed)) {
			sealed = k.time
		}
	}
	if sealed.Sub(r.Time) <= 2*clockGrace { // as it is without a time
		return ""
	}
	i, _ := slices.BinarySearchFunc(v.o.Sealings, r.Time.Add(clockGrace), time.Time.Compare)
	if i == len(v.o.Sealings) || !v.o.Sealings[i].Before(sealed.Add(-clockGrace)) {
		return ""
	}
	return fmt.Sprintf("it was stored at %s, but sealed at %s only, though the receiver sealed others at %s: it was added later, or could not be sealed",
		r.Time.UTC().Format(time.RFC3339Nano), sealed.UTC().Format(time.RFC3339), v.o.Sealings[i].UTC().Format(time.RFC3339))
}

// begun returns when the log had no record yet, by the time of the checkpoint of the empty tree;
// zero without one, or if no place says when it was made.
func (v *verification) begun() time.Time {
	if v.of.First == 1 && len(v.good) > 0 && v.good[0].tree.N == 0 {
		return v.good[0].time
	}
	return time.Time{}
}
