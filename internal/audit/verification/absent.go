package verification

import (
	"fmt"
	"time"

	"receiver/internal/audit"
)

// Drops is what may remove records from a stream before they are sealed: limits, which remove the
// oldest first. The zero value means that none has removed any.
type Drops struct {
	// Unknown is true if an age that is not known may be one of them.
	Unknown bool
	// MaxAge is the age at which records go; 0 means that none goes by age.
	MaxAge time.Duration
	// Size is true if records have gone by the size of the stream, or may have.
	Size bool
	// Before is the sequence before which an operator knows that records were removed, or dated by
	// a wrong clock.
	Before uint64
	// Created is when the stream was, if no record in it is older; zero if that is not known.
	Created time.Time
}

// dropped finds the absent leaves that no limit explains. Leaves come in ascending order.
type dropped struct {
	v     *verification
	begun time.Time // no record was stored before; zero if unknown
	now   time.Time
	cover int    // the first of v.good that covers the leaf
	older uint64 // a sequence that is still there, 0 if none was met
	with  uint64 // a sequence that the same checkpoint seals as present, 0 if none
}

func newDropped(v *verification) dropped {
	d := dropped{v: v, now: time.Now()}
	if o := v.o.Drops; o != nil {
		d.begun = o.Created
	}
	if begun := v.begun(); !begun.IsZero() && (d.begun.IsZero() || begun.Before(d.begun)) {
		d.begun = begun
	}
	return d
}

// to moves on to the checkpoint that sealed a leaf.
func (d *dropped) to(i int64) {
	for d.cover < len(d.v.good) && d.v.good[d.cover].tree.N <= i {
		d.cover, d.with = d.cover+1, 0
	}
}

// found notes that the record of a leaf is there.
func (d *dropped) found(i int64) {
	d.older = d.v.log.Seq(i)
	d.sealed(i)
}

// sealed notes that the record of a leaf was there when it was sealed.
func (d *dropped) sealed(i int64) {
	d.to(i)
	d.with = d.v.log.Seq(i)
}

// explain returns why no limit removed the record of an absent leaf, or nothing if one may have.
func (d *dropped) explain(i int64) string {
	d.to(i)
	o := d.v.o.Drops
	switch {
	case o == nil || d.v.log.Seq(i) < o.Before:
		return ""
	case d.older > 0:
		return fmt.Sprintf("limits remove the oldest records only, and sequence %d is still there", d.older)
	case o.Size:
		return ""
	case d.with > 0:
		return fmt.Sprintf("limits remove the oldest records only, and sequence %d was there when it was sealed", d.with)
	case o.Unknown:
		return ""
	case o.MaxAge == 0:
		return "no limit has removed any record of this stream"
	case !d.begun.IsZero() && d.goneBy().Sub(d.begun) < o.MaxAge-clockGrace:
		return fmt.Sprintf("no record was %s old by then, because the stream was empty at %s", o.MaxAge, d.begun.UTC().Format(time.RFC3339))
	}
	return ""
}

// goneBy returns when the record of a leaf was gone at the latest: at its checkpoint.
func (d *dropped) goneBy() time.Time {
	if d.cover < len(d.v.good) {
		if sealed := d.v.good[d.cover].time; !sealed.IsZero() && sealed.Before(d.now) {
			return sealed
		}
	}
	return d.now
}

// absent counts a leaf that was sealed as absent, and reports it if no limit explains it.
func (v *verification) absent(seq uint64, g gap) {
	v.report.Absent++
	if g.why != "" {
		v.fault(seq, audit.Gone, "its record was removed before it was sealed: %s", g.why)
	}
}
