package verification

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/tile"
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
	suspects   map[int64]audit.Record
	bytes      int
	latest     audit.Record // the youngest of those that are as sealed, as far as it was read
	askAt      int64        // the leaf from which on it may be asked again what was pushed out
	absent     int          // tiles of which nothing is there, unless solid
	solid      bool         // the current tile has a record
	due        int          // the first of v.good whose leaves were not all read
	clock      audit.Clock  // of the records that are as sealed, and of those that are not sealed yet
	drops      dropped
	lateIn     int // the last of v.good that sealed a record late: it is said once
}

// gap is a leaf whose record is not there.
type gap struct {
	hash  tlog.Hash // what was sealed,
	known bool      // if the storage tells
	why   string    // why no limit explains it, if it was sealed as absent
}

func newLeafPass(v *verification) *leafPass {
	return &leafPass{
		v: v, size: v.base.N, replay: newReplay(v.noted()),
		missing: make(map[int64]gap), suspects: make(map[int64]audit.Record),
		clock: newClock(v.begun()), drops: newDropped(v),
	}
}

func (p *leafPass) run(ctx context.Context) error {
	to := max(p.v.lastSeq, p.v.log.Seq(p.size)-1)
	err := audit.ReadHashed(ctx, p.v.of.Source, p.v.of.First, to, audit.Checks{Reverify: p.v.o.Reverify, Inspect: p.v.o.Inspect}, func(r audit.Hashed) error { return p.record(ctx, r) })
	if damage := new(audit.DamageError); errors.As(err, &damage) {
		for _, place := range damage.Places {
			p.v.fault(0, audit.Unreadable, "%s", place)
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
		return fmt.Errorf("reading stream %s: %w", p.v.of.Stream, err)
	}
	p.vouch()
	p.progress()
	return nil
}

// skip takes the leaves before i as having no records. The number may be a claim of the author of a
// checkpoint, so it can be interrupted and gives up with errHollow.
func (p *leafPass) skip(ctx context.Context, i int64) error {
	for p.next < i {
		if p.next%tile.Width == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if p.absent > maxAbsent {
				return errHollow
			}
			if len(p.missing) > maxMissing-tile.Width && p.next >= p.askAt {
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
		return fmt.Errorf("asking stream %s for its first sequence: %w", p.v.of.Stream, err)
	}
	p.v.o.From = max(p.v.o.From, from)
	p.v.report.From = p.v.o.From
	maps.DeleteFunc(p.missing, func(i int64, _ gap) bool {
		gone := p.v.log.Seq(i) < p.v.o.From
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
	p.v.fault(p.v.log.Seq(p.next), audit.Missing, "records and tiles of %d of the sequences in a tree of size %d are missing; the records after them were not checked",
		p.absent*tile.Width, p.size)
}

// vouch compares the times of checkpoints with the records before the awaited leaf, whose
// times are sealed: what covers a record was not made before it.
func (p *leafPass) vouch() {
	for ; p.due < len(p.v.good) && p.v.good[p.due].tree.N <= p.next; p.due++ {
		k := p.v.good[p.due]
		if !k.time.IsZero() && k.time.Add(clockGrace).Before(p.latest.Time) {
			p.v.fault(0, audit.BadNote, "%s: it is older than sequence %d, which it covers: its time was set back", k.where, p.latest.Seq)
		}
	}
}

func (p *leafPass) progress() {
	if p.v.o.Progress != nil {
		p.v.o.Progress(p.next, p.size)
	}
}

// record takes one record in the order of reading.
func (p *leafPass) record(ctx context.Context, r audit.Hashed) error {
	p.origin(r)
	first := p.v.of.First
	switch i, ok := audit.LeafIndex(first, r.Seq); {
	case r.Seq < first:
		p.v.fault(r.Seq, audit.Extra, "it is before the first sequence of the log, %d", first)
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
func (p *leafPass) origin(r audit.Hashed) {
	switch {
	case p.v.o.Reverify == nil:
	case r.HMAC == nil:
		p.v.report.Reverified++
	case errors.Is(r.HMAC, audit.ErrNotChecked):
		p.v.report.NotChecked++
	default:
		p.v.fault(r.Seq, audit.BadHMAC, "%v", r.HMAC)
	}
}

// order reports a record whose times contradict those before it, today, or each other.
func (p *leafPass) order(r *audit.Hashed) {
	why := p.clock.Back(r.Record)
	if why == "" && p.v.o.Present {
		why = audit.Future(r.Record)
	}
	if why == "" && r.Misdated != nil {
		why = r.Misdated.Error()
	}
	if cover := p.drops.cover; why == "" && cover != p.lateIn {
		if why = p.v.late(cover, r.Record); why != "" {
			p.lateIn = cover
		}
	}
	if drops := p.v.o.Drops; why != "" && (drops == nil || r.Seq >= drops.Before) {
		p.v.fault(r.Seq, audit.Misdated, "%s", why)
	}
}

func (p *leafPass) unsealed(r audit.Hashed) {
	p.order(&r)
	if by := p.v.o.SealedBy; !by.IsZero() && !r.Time.Before(by) {
		p.v.report.Unsealed++
		return
	}
	p.v.fault(r.Seq, audit.Unsealed, "the newest checkpoint ends at sequence %d", p.v.log.Seq(p.size)-1)
}

// late takes a record whose turn has passed.
func (p *leafPass) late(ctx context.Context, i int64, r audit.Hashed) error {
	if _, ok := p.missing[i]; !ok {
		p.v.fault(r.Seq, audit.Extra, "a second record with this sequence")
		return nil
	}
	delete(p.missing, i)
	p.v.report.Records++
	p.v.fault(r.Seq, audit.Reordered, "it is read after sequence %d", p.v.log.Seq(p.next)-1)
	data, why, err := p.v.leafTile(ctx, i>>tile.Height)
	if err != nil {
		return err
	}
	if why == "" && tile.HashAt(data, int(i%tile.Width)) != r.Hash {
		p.v.fault(r.Seq, audit.Changed, "its leaf hash is %s, the sealed one is %s", r.Hash, tile.HashAt(data, int(i%tile.Width)))
	}
	return nil
}

// leaf compares the awaited leaf with its record, or notes that there is none.
func (p *leafPass) leaf(ctx context.Context, r *audit.Hashed) error {
	at := int(p.next % tile.Width)
	p.vouch()
	if at == 0 {
		var err error
		if p.stored, p.why, err = p.v.leafTile(ctx, p.next>>tile.Height); err != nil {
			return err
		}
		p.derived, p.solid = make([]byte, 0, tile.Width*tlog.HashSize), false
	}
	var hash tlog.Hash
	if r == nil {
		hash = p.miss(at)
	} else {
		hash, p.solid = r.Hash, true
		p.found(at, r)
	}
	p.derived = append(p.derived, hash[:]...)
	p.next++
	if p.next%tile.Width == 0 || p.next == p.size {
		return p.endTile()
	}
	return nil
}

// miss notes that the awaited leaf has no record, and returns the hash to go on with.
func (p *leafPass) miss(at int) tlog.Hash {
	v, seq := p.v, p.v.log.Seq(p.next)
	absent := audit.AbsentHash(v.of.Stream, seq)
	g := gap{hash: absent}
	if p.stored != nil {
		g = gap{hash: tile.HashAt(p.stored, at), known: true}
	}
	if g.hash == absent {
		g.why = p.drops.explain(p.next)
	} else {
		p.drops.sealed(p.next)
	}
	switch {
	case g.known && g.hash == absent:
		v.absent(seq, g)
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
func (p *leafPass) found(at int, r *audit.Hashed) {
	p.v.report.Records++
	differs := p.stored != nil && tile.HashAt(p.stored, at) != r.Hash
	p.drops.found(p.next)
	if !differs {
		p.order(r)
	}
	if p.stored != nil && !differs && r.Time.After(p.latest.Time) {
		p.latest = audit.Record{Seq: r.Seq, Time: r.Time}
	}
	if differs && len(p.suspects) < maxSuspects && p.bytes+len(r.Data) <= maxSuspectBytes {
		p.suspects[p.next] = r.Own()
		p.bytes += len(r.Data)
	}
}

// endTile hands the tile to the replay, and remembers it if the two versions differ.
func (p *leafPass) endTile() error {
	d := mismatch{n: (p.next - 1) >> tile.Height, stored: p.stored, why: p.why, derived: p.derived, absent: p.stored == nil && !p.solid}
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
		if tile.HashAt(d.stored, at) != tile.HashAt(d.derived, at) {
			p.v.report.Omitted++
			p.v.report.Records--
		}
	}
}
