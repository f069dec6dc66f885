package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Bounds on what is remembered of a log that is badly damaged.
const (
	maxMismatches   = 1024     // tiles, 16 KiB each
	maxMissing      = 100_000  // sequences
	maxSuspects     = 256      // records that differ, kept to see where they belong,
	maxSuspectBytes = 32 << 20 // and their bytes
	maxAbsent       = 4096     // tiles, of a million leaves, of which neither hashes nor records are there
)

// errHollow ends a pass over leaves of which nothing is there.
var errHollow = errors.New("records and tiles are missing")

// leafPass reads the stream once and compares each record with the stored leaf hash.
type leafPass struct {
	v          *verification
	size       int64  // leaves to compare
	next       int64  // index of the leaf awaited
	stored     []byte // hashes of the current tile as stored; nil when unusable
	why        string // then, why
	derived    []byte // the same as the records have it
	replay     *replay
	mismatches []mismatch
	overflow   bool          // there were more mismatches than are remembered
	missing    map[int64]gap // leaves without a record that should have one
	suspects   map[int64]Record
	bytes      int
	latest     Record // the youngest of those that are as sealed, as far as it was read
	askAt      int64  // the leaf from which on it may be asked again what was pushed out
	absent     int    // tiles of which nothing is there, unless solid
	solid      bool   // the current tile has a record
	due        int    // the first of v.good whose leaves were not all read
}

// gap is a leaf whose record is not there.
type gap struct {
	hash  tlog.Hash // what was sealed,
	known bool      // if the storage tells
}

func newLeafPass(v *verification) *leafPass {
	return &leafPass{
		v: v, size: v.base.N, replay: newReplay(v.good),
		missing: make(map[int64]gap), suspects: make(map[int64]Record),
	}
}

func (p *leafPass) run(ctx context.Context) error {
	l := p.v.log
	to := max(p.v.lastSeq, l.seq(p.size)-1)
	err := readHashed(ctx, l.o.Source, l.o.First, to, p.v.o.Reverify, func(r hashed) error { return p.record(ctx, r) })
	if damage := new(DamageError); errors.As(err, &damage) {
		for _, place := range damage.Places {
			p.v.fault(0, Unreadable, "%s", place)
		}
		err = nil
	}
	if err == nil {
		err = p.skip(ctx, p.size)
	}
	switch {
	case errors.Is(err, errHollow):
		p.giveUp()
	case err != nil:
		return fmt.Errorf("reading stream %s: %w", l.o.Stream, err)
	}
	p.vouch()
	p.progress()
	return nil
}

// skip takes the leaves before i as having no records. The number may be a claim of the author of a
// checkpoint, so it can be interrupted and gives up with errHollow.
func (p *leafPass) skip(ctx context.Context, i int64) error {
	for p.next < i {
		if p.next%tileWidth == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if p.absent > maxAbsent {
				return errHollow
			}
			if len(p.missing) > maxMissing-tileWidth && p.next >= p.askAt {
				p.askAt = p.next + maxMissing
				if err := p.forgive(ctx); err != nil {
					return err
				}
			}
		}
		if err := p.leaf(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// forgive takes the records that were pushed out since the pass began for outside.
func (p *leafPass) forgive(ctx context.Context) error {
	if p.v.o.Pushed == nil {
		return nil
	}
	from, err := p.v.o.Pushed(ctx)
	if err != nil {
		return fmt.Errorf("asking stream %s for its first sequence: %w", p.v.log.o.Stream, err)
	}
	p.v.o.From = max(p.v.o.From, from)
	p.v.report.From = p.v.o.From
	maps.DeleteFunc(p.missing, func(i int64, _ gap) bool {
		gone := p.v.log.seq(i) < p.v.o.From
		if gone {
			p.v.report.Outside++
		}
		return gone
	})
	return nil
}

// giveUp says once what is not there at all, instead of leaf by leaf, and that the rest was
// not looked at.
func (p *leafPass) giveUp() {
	p.overflow = true // no other version of any tile can lead to the root
	p.mismatches = slices.DeleteFunc(p.mismatches, func(d mismatch) bool { return d.absent })
	maps.DeleteFunc(p.missing, func(_ int64, g gap) bool { return !g.known })
	p.v.fault(p.v.log.seq(p.next), Missing, "records and tiles of %d of the sequences in a tree of size %d are missing; the records after them were not checked",
		p.absent*tileWidth, p.size)
}

// clockGrace is by how much clocks may have been wrong, or put right, between a record and a
// checkpoint over it. An attacker who sets times back to hide a record sets them back by days.
const clockGrace = time.Hour

// vouch compares the times of checkpoints with the records before the awaited leaf, whose
// times are sealed: what covers a record was not made before it.
func (p *leafPass) vouch() {
	for ; p.due < len(p.v.good) && p.v.good[p.due].tree.N <= p.next; p.due++ {
		k := p.v.good[p.due]
		if !k.time.IsZero() && k.time.Add(clockGrace).Before(p.latest.Time) {
			p.v.fault(0, BadNote, "%s: it is older than sequence %d, which it covers: its time was set back", k.where, p.latest.Seq)
		}
	}
}

func (p *leafPass) progress() {
	if p.v.o.Progress != nil {
		p.v.o.Progress(p.next, p.size)
	}
}

// record takes one record in the order of reading.
func (p *leafPass) record(ctx context.Context, r hashed) error {
	p.origin(r)
	first := p.v.log.o.First
	switch i, ok := leafIndex(first, r.Seq); {
	case r.Seq < first:
		p.v.fault(r.Seq, Extra, "it is before the first sequence of the log, %d", first)
		return nil
	case !ok || i >= p.size:
		p.unsealed(r)
		return nil
	case i < p.next:
		return p.late(ctx, i, r)
	default:
		if err := p.skip(ctx, i); err != nil {
			return err
		}
		return p.leaf(ctx, &r)
	}
}

// origin books what Reverify said.
func (p *leafPass) origin(r hashed) {
	switch {
	case p.v.o.Reverify == nil:
	case r.hmac == nil:
		p.v.report.Reverified++
	case errors.Is(r.hmac, ErrNotChecked):
		p.v.report.NotChecked++
	default:
		p.v.fault(r.Seq, BadHMAC, "%v", r.hmac)
	}
}

func (p *leafPass) unsealed(r hashed) {
	if by := p.v.o.SealedBy; !by.IsZero() && !r.Time.Before(by) {
		p.v.report.Unsealed++
		return
	}
	p.v.fault(r.Seq, Unsealed, "the newest checkpoint ends at sequence %d", p.v.log.seq(p.size)-1)
}

// late takes a record whose turn has passed.
func (p *leafPass) late(ctx context.Context, i int64, r hashed) error {
	if _, ok := p.missing[i]; !ok {
		p.v.fault(r.Seq, Extra, "a second record with this sequence")
		return nil
	}
	delete(p.missing, i)
	p.v.report.Records++
	p.v.fault(r.Seq, Reordered, "it is read after sequence %d", p.v.log.seq(p.next)-1)
	data, why, err := p.v.leafTile(ctx, i>>tileHeight)
	if err != nil {
		return err
	}
	if why == "" && hashAt(data, int(i%tileWidth)) != r.hash {
		p.v.fault(r.Seq, Changed, "its leaf hash is %s, the sealed one is %s", r.hash, hashAt(data, int(i%tileWidth)))
	}
	return nil
}

// leaf compares the awaited leaf with its record, or notes that there is none.
func (p *leafPass) leaf(ctx context.Context, r *hashed) error {
	at := int(p.next % tileWidth)
	p.vouch()
	if at == 0 {
		var err error
		if p.stored, p.why, err = p.v.leafTile(ctx, p.next>>tileHeight); err != nil {
			return err
		}
		p.derived, p.solid = make([]byte, 0, tileWidth*tlog.HashSize), false
	}
	var hash tlog.Hash
	if r == nil {
		hash = p.miss(at)
	} else {
		hash, p.solid = r.hash, true
		p.found(at, r)
	}
	p.derived = append(p.derived, hash[:]...)
	p.next++
	if p.next%tileWidth == 0 || p.next == p.size {
		return p.endTile()
	}
	return nil
}

// miss notes that the awaited leaf has no record, and returns the hash to go on with.
func (p *leafPass) miss(at int) tlog.Hash {
	v, seq := p.v, p.v.log.seq(p.next)
	absent := absentHash(v.log.o.Stream, seq)
	g := gap{hash: absent}
	if p.stored != nil {
		g = gap{hash: hashAt(p.stored, at), known: true}
	}
	switch {
	case g.known && g.hash == absent:
		v.report.Absent++
	case seq < v.o.From || seq > v.o.To:
		v.report.Outside++
	case len(p.missing) < maxMissing:
		p.missing[p.next] = g
	default:
		v.report.Omitted++
	}
	return g.hash
}

// found notes a record that is there.
func (p *leafPass) found(at int, r *hashed) {
	p.v.report.Records++
	differs := p.stored != nil && hashAt(p.stored, at) != r.hash
	if p.stored != nil && !differs && r.Time.After(p.latest.Time) {
		p.latest = Record{Seq: r.Seq, Time: r.Time}
	}
	if differs && len(p.suspects) < maxSuspects && p.bytes+len(r.Data) <= maxSuspectBytes {
		p.suspects[p.next] = r.own()
		p.bytes += len(r.Data)
	}
}

// endTile hands the tile to the replay, and remembers it if the two versions differ.
func (p *leafPass) endTile() error {
	d := mismatch{n: (p.next - 1) >> tileHeight, stored: p.stored, why: p.why, derived: p.derived, absent: p.stored == nil && !p.solid}
	if d.absent {
		p.absent++
	}
	if !bytes.Equal(d.stored, d.derived) {
		if len(p.mismatches) < maxMismatches {
			p.mismatches = append(p.mismatches, d)
		} else {
			p.overflow = true
			p.omit(d)
		}
	}
	p.progress()
	return p.replay.add(d.candidate())
}

// omit only counts what is wrong with a tile, after very many others.
func (p *leafPass) omit(d mismatch) {
	if d.stored == nil {
		p.v.report.Omitted++
	}
	for at := range len(d.stored) / tlog.HashSize {
		if hashAt(d.stored, at) != hashAt(d.derived, at) {
			p.v.report.Omitted++
			p.v.report.Records--
		}
	}
}
