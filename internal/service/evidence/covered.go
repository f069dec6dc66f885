package evidence

import (
	"fmt"

	"receiver/api"
	"receiver/internal/publish"
	"receiver/internal/words"
)

// notCovered is all that neither the newest check of a log nor its checkpoint says anything about.
func notCovered(l api.Log, e publish.Extent, v api.Verification) []api.NotCovered {
	all := []api.NotCovered{}
	add := func(what string, n int64, format string, args ...any) {
		all = append(all, api.NotCovered{What: what, Records: n, Detail: fmt.Sprintf(format, args...)})
	}
	count := func(n int64) string { return words.Count(n, "record") }
	c := l.Check
	if c.Time.IsZero() {
		add("unchecked", int64(e.Messages), "no record was compared with the log since %s, when the receiver started", v.Since.Format("2006-01-02 15:04 UTC"))
	} else if after := l.Checkpoint.Size - c.Size; after > 0 {
		add("after_check", after, "%s sealed after the check, from record %d on", count(after), c.Size+1)
	}
	if l.Unsealed > 0 {
		add("unsealed", int64(l.Unsealed), "%s not sealed yet: who can write the store's files could change them unnoticed", count(int64(l.Unsealed)))
	}
	if removed := int64(min(e.First-min(e.First, 1), uint64(max(l.Checkpoint.Size, 0)))); removed > 0 {
		add("removed", removed, "of the records before %d only the hashes remain: %s removed, by limits or by another client of the store", e.First, count(removed))
	}
	if c.Absent > 0 {
		add("absent", c.Absent, "%s gone before they were sealed: nothing says what they were", count(c.Absent))
	}
	if c.Unchecked > 0 {
		add("signatures", c.Unchecked, "%s of which no signature could be checked: unsigned, without a kept body, encrypted, or of a key that is no longer configured", count(c.Unchecked))
	}
	if len(l.Anchors) == 0 {
		add("outside", 0, "there is no anchor: to put back the store and the checkpoint file together leaves no trace")
	} else if most := largest(l.Anchors); most < l.Checkpoint.Size {
		add("outside", l.Checkpoint.Size-most, "%s that no anchor has a checkpoint of yet", count(l.Checkpoint.Size-most))
	}
	return all
}

// largest is the size of the largest checkpoint that an anchor took.
func largest(all []api.AnchorReceipt) (size int64) {
	for _, a := range all {
		size = max(size, a.Size)
	}
	return size
}
