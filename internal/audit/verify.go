package audit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrNotChecked is what a Reverify func returns for a record it cannot judge: one without a
// signature, or whose key is no longer configured. It is counted, and no fault.
var ErrNotChecked = errors.New("record has no signature that can be checked")

// VerifyOptions say what Verify compares the log with beside its own store.
type VerifyOptions struct {
	// Kept are checkpoints from outside the store: the local file's, anchors'. The more,
	// the narrower a rewriting of history is pinned down. Read them before the call, or a log
	// in use may have been sealed further by then, and look rolled back.
	Kept []Kept

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
	// ErrNotChecked are good; the text of any other error becomes the fault's detail.
	Reverify func(Record) error

	// Progress is called now and then with the leaves compared so far; nil for no calls.
	Progress func(done, total int64)
}

// Kept is a signed checkpoint and the place it was found in, for the report.
type Kept struct {
	Where string
	Note  []byte
	// Time is when that place says it took it; zero if it does not say. Nothing seals it, so
	// Verify compares it with the records that the checkpoint covers.
	Time time.Time
}

// Verify reads the whole stream and reports everything that is not as it was sealed. It
// recomputes every leaf, proves the stored tiles against the newest signed checkpoint it
// is given (which may be a kept one), compares each record with its leaf, and every other
// checkpoint with the same tree. The error is only for what kept it from looking.
func (l *Log) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	o.From = max(o.From, l.o.First)
	v := &verification{log: l, o: o, report: Report{Origin: l.o.Origin, Faults: []Fault{}}}
	if err := v.readCheckpoints(ctx); err != nil {
		return Report{}, err
	}
	pass := newLeafPass(v)
	if err := pass.run(ctx); err != nil {
		return Report{}, err
	}
	if err := v.judge(ctx, pass); err != nil {
		return Report{}, err
	}
	v.report.sort()
	return v.report, nil
}

// maxFaults bounds the list of faults. The others are counted.
const maxFaults = 1000

// verification is one run of Verify.
type verification struct {
	log     *Log
	o       VerifyOptions
	report  Report
	base    tlog.Tree    // what records and tiles are compared with
	signed  bool         // base is of a checkpoint whose signature holds
	good    []signedKept // every checkpoint whose signature holds, smallest first
	lastSeq uint64
}

type signedKept struct {
	where string
	tree  tlog.Tree
	time  time.Time // the earliest that a place says, or zero
}

func (v *verification) fault(seq uint64, kind Kind, format string, args ...any) {
	if len(v.report.Faults) >= maxFaults {
		v.report.Omitted++
		return
	}
	f := Fault{Stream: v.log.o.Stream, Seq: seq, Kind: kind, Detail: fmt.Sprintf(format, args...)}
	v.report.Faults = append(v.report.Faults, f)
}

// readCheckpoints opens every checkpoint and settles which tree the log is compared with:
// the largest one that was ever signed, so that what a rollback took away is missed.
func (v *verification) readCheckpoints(ctx context.Context) error {
	stored, _, err := v.log.o.Checkpoints.Load(ctx)
	if err != nil {
		return fmt.Errorf("loading checkpoint of %s: %w", v.log.o.Origin, err)
	}
	if v.lastSeq, err = v.log.o.Source.Last(ctx); err != nil {
		return fmt.Errorf("asking stream %s for its last sequence: %w", v.log.o.Stream, err)
	}
	v.open(stored)
	slices.SortStableFunc(v.good, func(a, b signedKept) int { return cmp.Compare(a.tree.N, b.tree.N) })
	v.report.Checkpoints = len(v.good)
	v.compareSizes()
	switch {
	case len(v.good) > 0:
		v.base, v.signed = v.good[len(v.good)-1].tree, true
		v.checkRollback(stored)
	case stored == nil:
		v.base = emptyTree()
		v.fault(0, BadNote, "no checkpoint is stored, and none was kept elsewhere")
	default:
		v.base = v.claimed(stored)
	}
	if end := v.log.seq(v.base.N) - 1; v.o.To == 0 || v.o.To > end {
		v.o.To = end
	}
	v.report.From, v.report.To = v.o.From, v.o.To
	return nil
}

// open verifies the stored checkpoint and all kept ones, each distinct one once.
func (v *verification) open(stored []byte) {
	all := v.o.Kept
	if stored != nil {
		all = append([]Kept{{Where: "store", Note: stored}}, all...)
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
		cp, err := v.log.open(k.Note)
		if err != nil {
			v.fault(0, BadNote, "%s: %v", k.Where, err)
			continue
		}
		seen[id] = len(v.good)
		v.good = append(v.good, signedKept{k.Where, cp.Tree, k.Time})
	}
}

// told takes what another place says of the same checkpoint.
func (s *signedKept) told(k Kept) {
	if !k.Time.IsZero() && (s.time.IsZero() || k.Time.Before(s.time)) {
		s.where, s.time = k.Where, k.Time
	}
}

// compareSizes finds forks that need no tree to be seen: one size, two roots.
func (v *verification) compareSizes() {
	for i := 1; i < len(v.good); i++ {
		a, b := v.good[i-1], v.good[i]
		if a.tree.N == b.tree.N && a.tree.Hash != b.tree.Hash {
			v.fault(0, Forked, "%s and %s hold signed checkpoints of size %d with different roots", a.where, b.where, a.tree.N)
		}
	}
}

func (v *verification) checkRollback(stored []byte) {
	where := v.good[len(v.good)-1].where
	if stored == nil {
		v.fault(0, RolledBack, "no checkpoint is stored, but %s holds one of size %d", where, v.base.N)
		return
	}
	if cp, err := v.log.open(stored); err == nil && cp.Tree.N < v.base.N {
		v.fault(0, RolledBack, "the stored checkpoint is of size %d, but %s holds one of %d", cp.Tree.N, where, v.base.N)
	}
}

// claimed takes the word of an unsigned checkpoint for which tree to compare with, so that
// changed records are named even then. Its size is not trusted beyond the stream's.
func (v *verification) claimed(stored []byte) tlog.Tree {
	cp, err := ReadCheckpoint(stored)
	if err != nil {
		return emptyTree()
	}
	cp.Tree.N = min(cp.Tree.N, v.log.leaves(v.lastSeq))
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
	if !verdict.reproduced {
		v.narrow(verdict.replay)
		return nil
	}
	for _, k := range v.good {
		if root := verdict.replay.roots[k.tree.N]; root != k.tree.Hash && k.tree.N < v.base.N {
			v.fault(0, Forked, "%s: signed checkpoint of size %d is of another history", k.where, k.tree.N)
		}
	}
	return v.checkUpperTiles(ctx, verdict.replay)
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
	v.fault(0, BadRoot, "records and tiles do not reproduce the root of the checkpoint of size %d; the first difference is within sequences %d to %d",
		v.base.N, v.log.seq(from), v.log.seq(to)-1)
}

func (v *verification) checkUpperTiles(ctx context.Context, r *replay) error {
	for _, want := range r.upper {
		got, why, err := v.log.storedTile(ctx, want.tile)
		if err != nil {
			return err
		}
		if why == "" && !bytes.Equal(got, want.data) {
			why = "it does not match the checkpoint"
		}
		if why != "" {
			v.fault(0, BadTile, "%s: %s", tileName(want.tile), why)
		}
	}
	return nil
}
