package verification

import (
	"bytes"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/tile"
)

// maxTargets bounds the leaves that a misplaced record is compared with.
const maxTargets = 256

// judgeRecords names every record that is not as it was sealed.
func (v *verification) judgeRecords(p *leafPass, vd verdict) {
	targets := p.targets()
	for _, d := range p.mismatches {
		v.judgeMismatch(p, d, vd, targets)
	}
	for _, i := range slices.Sorted(maps.Keys(p.missing)) {
		if !p.missing[i].known && vd.reproduced {
			v.absent(v.log.Seq(i), p.missing[i]) // the root holds with the absent leaf in its place
			continue
		}
		v.fault(v.log.Seq(i), audit.Missing, "its leaf is sealed, but its record is missing")
	}
}

// judgeMismatch decides for one tile whether the tile or its records are wrong.
func (v *verification) judgeMismatch(p *leafPass, d mismatch, vd verdict, targets map[int64]tlog.Hash) {
	t, _ := tile.In(tlog.Tile{H: tile.Height, N: d.n}, v.base.N)
	if d.stored == nil {
		v.fault(0, audit.BadTile, "%s: %s", tile.Name(t), d.why)
		return
	}
	if bytes.Equal(vd.pick(d), d.derived) {
		v.fault(0, audit.BadTile, "%s: it does not match the checkpoint, but the records do", tile.Name(t))
		return
	}
	for at := range t.W {
		sealed, now := tile.HashAt(d.stored, at), tile.HashAt(d.derived, at)
		if sealed != now {
			v.report.Records--
			v.judgeRecord(p, d.n<<tile.Height+int64(at), sealed, now, targets)
		}
	}
}

func (v *verification) judgeRecord(p *leafPass, i int64, sealed, now tlog.Hash, targets map[int64]tlog.Hash) {
	seq := v.log.Seq(i)
	if sealed == audit.AbsentHash(v.of.Stream, seq) {
		v.fault(seq, audit.Extra, "it was sealed as absent")
		return
	}
	if r, ok := p.suspects[i]; ok {
		if _, err := r.LeafHash(); err != nil {
			v.fault(seq, audit.Changed, "%v", err)
			return
		}
		if was, ok := v.sealedElsewhere(r, targets); ok {
			v.fault(seq, audit.Reordered, "this record was sealed as sequence %d", was)
			return
		}
	}
	v.fault(seq, audit.Changed, "its leaf hash is %s, the sealed one is %s", now, sealed)
}

// sealedElsewhere reports under which other sequence exactly this record was sealed.
func (v *verification) sealedElsewhere(r audit.Record, targets map[int64]tlog.Hash) (uint64, bool) {
	for j, sealed := range targets {
		r.Seq = v.log.Seq(j)
		if hash, err := r.LeafHash(); err == nil && hash == sealed {
			return r.Seq, true
		}
	}
	return 0, false
}

// targets are the sealed hashes that no record in its place has.
func (p *leafPass) targets() map[int64]tlog.Hash {
	found := make(map[int64]tlog.Hash)
	for _, i := range slices.Sorted(maps.Keys(p.missing)) {
		if g := p.missing[i]; g.known && len(found) < maxTargets {
			found[i] = g.hash
		}
	}
	for _, d := range p.mismatches {
		for at := range len(d.stored) / tlog.HashSize {
			if sealed := tile.HashAt(d.stored, at); sealed != tile.HashAt(d.derived, at) && len(found) < maxTargets {
				found[d.n<<tile.Height+int64(at)] = sealed
			}
		}
	}
	return found
}
