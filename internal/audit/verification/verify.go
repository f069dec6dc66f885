// Package verification compares a log with everything that is known of it: its records, its tiles,
// and checkpoints from any place. It reads only, and repairs nothing.
package verification

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/tile"
)

// Options say what Verify compares the log with beside its own store.
type Options struct {
	// Kept are checkpoints from outside the store: the local file's, anchors'. The more,
	// the narrower a rewriting of history is pinned down. Read them before the call, or a log
	// in use may have been sealed further by then, and look rolled back.
	Kept []audit.Kept

	// Earlier are origins that the log had before: kept checkpoints of them must be of its tree.
	Earlier []string

	// Told are trees that the receiver noted when it told them to a place, which may not be
	// configured any more. Nothing signs them; they must be of this log all the same.
	Told []audit.Told

	// Sealings are when the store took checkpoints of all logs of the receiver, in ascending order.
	Sealings []time.Time

	// From and To bound the sequences whose records must be there; 0 means the log's first,
	// and the last sealed one. Records outside are compared where they exist and not missed
	// where they do not: their age ran out, or they were exported and removed.
	From, To uint64

	// Pushed returns the first sequence that must be there by now: it is asked again when the
	// stream was read, because limits go on pushing out old records meanwhile. Nil means that
	// none do.
	Pushed func(ctx context.Context) (uint64, error)

	// SealedBy is the time before which every record must be sealed; zero means that all must.
	// A log in use always has some that are not.
	SealedBy time.Time

	// Reverify checks what the record itself claims (its HMAC); nil means nothing does. It is
	// called from two goroutines at once, and must not keep the record's Header. nil and
	// audit.ErrNotChecked are good; the text of any other error becomes the fault's detail.
	Reverify func(audit.Record) error

	// Inspect returns why the times that a record names contradict when it was stored; nil means
	// that none is looked at. It is called as Reverify is.
	Inspect func(audit.Record) error

	// Present is true of a store in use: no record of it was stored after now, by the clock of this
	// machine.
	Present bool

	// Drops is what may have removed records before they were sealed; nil means anything, so that
	// absent leaves are only counted.
	Drops *Drops

	// Progress is called now and then with the leaves compared so far; nil for no calls.
	Progress func(done, total int64)
}

// Verify reads the whole stream and reports everything that is not as it was sealed. It
// recomputes every leaf, proves the stored tiles against the newest signed checkpoint it
// is given (which may be a kept one), compares each record with its leaf, and every other
// checkpoint with the same tree. The error is only for what kept it from looking.
func Verify(ctx context.Context, log *audit.Log, o Options) (audit.Report, error) {
	of := log.Options()
	o.From = max(o.From, of.First)
	v := &verification{log: log, of: of, o: o, report: audit.Report{Origin: of.Origin, Keys: []string{}, Faults: []audit.Fault{}}}
	if err := v.readCheckpoints(ctx); err != nil {
		return audit.Report{}, err
	}
	pass := newLeafPass(v)
	if err := pass.run(ctx); err != nil {
		return audit.Report{}, err
	}
	if err := v.judge(ctx, pass); err != nil {
		return audit.Report{}, err
	}
	v.report.Sort()
	return v.report, nil
}

// verification is one run of Verify.
type verification struct {
	log     *audit.Log
	of      audit.LogOptions // of the log
	o       Options
	report  audit.Report
	base    tlog.Tree    // what records and tiles are compared with
	signed  bool         // base is of a checkpoint whose signature holds
	good    []signedKept // every checkpoint whose signature holds, smallest first
	told    []signedKept // what the receiver noted of others
	lastSeq uint64
}

type signedKept struct {
	where string
	tree  tlog.Tree
	time  time.Time // the earliest that a place says, or zero
}

func (v *verification) fault(seq uint64, kind audit.Kind, format string, args ...any) {
	v.report.Add(audit.Fault{Stream: v.of.Stream, Seq: seq, Kind: kind, Detail: fmt.Sprintf(format, args...)})
}

// readCheckpoints opens every checkpoint and settles which tree the log is compared with:
// the largest one that was ever signed, so that what a rollback took away is missed.
func (v *verification) readCheckpoints(ctx context.Context) error {
	stored, _, err := v.of.Checkpoints.Load(ctx)
	if err != nil {
		return fmt.Errorf("loading checkpoint of %s: %w", v.of.Origin, err)
	}
	if v.lastSeq, err = v.of.Source.Last(ctx); err != nil {
		return fmt.Errorf("asking stream %s for its last sequence: %w", v.of.Stream, err)
	}
	v.open(stored)
	for _, t := range v.o.Told {
		v.told = append(v.told, signedKept{where: t.Where, tree: t.Tree})
	}
	slices.SortStableFunc(v.good, func(a, b signedKept) int { return cmp.Compare(a.tree.N, b.tree.N) })
	v.report.Checkpoints = len(v.good)
	v.compareSizes()
	switch {
	case len(v.good) > 0:
		v.base, v.signed = v.good[len(v.good)-1].tree, true
		v.checkRollback(stored)
	case stored == nil:
		v.base = tile.EmptyTree()
		v.fault(0, audit.BadNote, "no checkpoint is stored, and none was kept elsewhere")
	default:
		v.base = v.claimed(stored)
	}
	if end := v.log.Seq(v.base.N) - 1; v.o.To == 0 || v.o.To > end {
		v.o.To = end
	}
	v.report.From, v.report.To = v.o.From, v.o.To
	return nil
}

// open verifies the stored checkpoint and all kept ones, each distinct one once.
func (v *verification) open(stored []byte) {
	all, earlier := v.o.Kept, v.o.Earlier
	if stored != nil { // which is of this origin
		all, earlier = append([]audit.Kept{{Where: "store", Note: stored}}, all...), nil
	}
	seen := make(map[[sha256.Size]byte]int) // where in good; a log has many, and each comes from several places
	for _, k := range all {
		id := sha256.Sum256(k.Note)
		if at, ok := seen[id]; ok {
			if at >= 0 {
				v.good[at].told(k)
			}
			continue
		}
		seen[id] = -1
		cp, err := v.log.Open(k.Note, earlier...)
		earlier = v.o.Earlier
		if err != nil {
			v.fault(0, audit.BadNote, "%s: %v", k.Where, err)
			continue
		}
		if at, ok := slices.BinarySearch(v.report.Keys, cp.Key); !ok {
			v.report.Keys = slices.Insert(v.report.Keys, at, cp.Key)
		}
		seen[id] = len(v.good)
		v.good = append(v.good, signedKept{k.Where, cp.Tree, k.Time})
	}
}

// told takes what another place says of the same checkpoint.
func (s *signedKept) told(k audit.Kept) {
	if !k.Time.IsZero() && (s.time.IsZero() || k.Time.Before(s.time)) {
		s.where, s.time = k.Where, k.Time
	}
}

// compareSizes finds forks that need no tree to be seen: one size, two roots.
func (v *verification) compareSizes() {
	for i := 1; i < len(v.good); i++ {
		a, b := v.good[i-1], v.good[i]
		if a.tree.N == b.tree.N && a.tree.Hash != b.tree.Hash {
			v.fault(0, audit.Forked, "%s and %s hold signed checkpoints of size %d with different roots", a.where, b.where, a.tree.N)
		}
	}
}

func (v *verification) checkRollback(stored []byte) {
	where := v.good[len(v.good)-1].where
	if stored == nil {
		v.fault(0, audit.RolledBack, "no checkpoint is stored, but %s holds one of size %d", where, v.base.N)
		return
	}
	if cp, err := v.log.Open(stored); err == nil && cp.Tree.N < v.base.N {
		v.fault(0, audit.RolledBack, "the stored checkpoint is of size %d, but %s holds one of %d", cp.Tree.N, where, v.base.N)
	}
}

// claimed takes the word of an unsigned checkpoint for which tree to compare with, so that
// changed records are named even then. Its size is not trusted beyond the stream's.
func (v *verification) claimed(stored []byte) tlog.Tree {
	cp, err := audit.ReadCheckpoint(stored)
	if err != nil {
		return tile.EmptyTree()
	}
	cp.Tree.N = min(cp.Tree.N, v.log.Leaves(v.lastSeq))
	return cp.Tree
}

// judge turns what the pass over the records found into faults.
func (v *verification) judge(ctx context.Context, p *leafPass) error {
	verdict, err := v.resolve(ctx, p)
	if err != nil {
		return err
	}
	if err := p.forgive(ctx); err != nil {
		return err
	}
	v.report.Size, v.report.Root = v.base.N, v.base.Hash.String()
	v.report.Proved = v.signed && verdict.reproduced
	v.judgeRecords(p, verdict)
	v.judgeTold(verdict)
	if !verdict.reproduced {
		v.narrow(verdict.replay)
		return nil
	}
	for _, k := range v.good {
		if root := verdict.replay.roots[k.tree.N]; root != k.tree.Hash && k.tree.N < v.base.N {
			v.fault(0, audit.Forked, "%s: signed checkpoint of size %d is of another history", k.where, k.tree.N)
		}
	}
	return v.checkUpperTiles(ctx, verdict.replay)
}

// judgeTold compares what the receiver noted. Of a tree that is not there, one word is enough.
func (v *verification) judgeTold(vd verdict) {
	var larger signedKept
	for _, t := range v.told {
		switch root, ok := vd.replay.roots[t.tree.N]; {
		case t.tree.N > v.base.N && t.tree.N > larger.tree.N:
			larger = t
		case ok && vd.reproduced && root != t.tree.Hash:
			v.fault(0, audit.Forked, "%s: its tree of size %d is of another history", t.where, t.tree.N)
			return
		}
	}
	if larger.tree.N > 0 {
		v.fault(0, audit.RolledBack, "%s: it has a tree of size %d, and the newest checkpoint that is left is of %d", larger.where, larger.tree.N, v.base.N)
	}
}

// noted are the trees whose roots a replay must note, smallest first.
func (v *verification) noted() []signedKept {
	all := slices.Concat(v.good, v.told)
	slices.SortFunc(all, func(a, b signedKept) int { return cmp.Compare(a.tree.N, b.tree.N) })
	return all
}

// narrow says where the first difference is when the root is not reproduced: kept
// checkpoints that still hold vouch for all leaves before them.
func (v *verification) narrow(r *replay) {
	from, to := int64(0), v.base.N
	for _, k := range v.good {
		if r.roots[k.tree.N] == k.tree.Hash {
			from = max(from, k.tree.N)
		}
	}
	for _, k := range v.good {
		if k.tree.N > from {
			to = min(to, k.tree.N)
		}
	}
	v.fault(0, audit.BadRoot, "records and tiles do not reproduce the root of the checkpoint of size %d; the first difference is within sequences %d to %d",
		v.base.N, v.log.Seq(from), v.log.Seq(to)-1)
}

func (v *verification) checkUpperTiles(ctx context.Context, r *replay) error {
	for _, want := range r.upper {
		got, why, err := v.log.StoredTile(ctx, want.Tile)
		if err != nil {
			return err
		}
		if why == "" && !bytes.Equal(got, want.Hashes) {
			why = "it does not match the checkpoint"
		}
		if why != "" {
			v.fault(0, audit.BadTile, "%s: %s", tile.Name(want.Tile), why)
		}
	}
	return nil
}
