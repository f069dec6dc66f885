package audit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// ErrProof is returned when a record is not what the log has sealed in its place: its leaf
// hash and the proof do not lead to the root of the checkpoint.
var ErrProof = errors.New("record is not in this log")

// ErrBundle is returned for a malformed proof bundle: for bytes that are none in its one form, and
// for one without a record, or with records out of order.
var ErrBundle = errors.New("malformed evidence bundle")

// Bundle is a self-contained proof that records stand in a log: it can be checked years
// later, on a machine that has nothing but the log's public key. Package bundle writes it.
type Bundle struct {
	Checkpoint []byte  // the signed note, cosignatures included
	First      uint64  // sequence of the log's leaf 0
	Entries    []Entry // in ascending sequence; at least one
}

// Entry is one record and the proof that its leaf is in the tree of the checkpoint.
type Entry struct {
	Record
	Proof tlog.RecordProof
}

// Prove returns the proof that the records with these sequences are in the log, against the
// newest checkpoint. The errors are ErrNoRecord, ErrNotSealed (try again after the next
// sealing), ErrNoCheckpoint, ErrProof and ErrTile (verify the log).
func (l *Log) Prove(ctx context.Context, seqs ...uint64) (Bundle, error) {
	cp, err := l.Checkpoint(ctx)
	if errors.Is(err, ErrNoCheckpoint) { // as of a tree of no leaves: a record that is there waits to be sealed
		if _, none := l.ProveAt(ctx, Checkpoint{}, seqs...); errors.Is(none, ErrNoRecord) {
			err = none
		}
	}
	if err != nil {
		return Bundle{}, err
	}
	return l.ProveAt(ctx, cp, seqs...)
}

// ProveAt is Prove against an older checkpoint of this log, such as one that has more
// cosignatures than the newest.
func (l *Log) ProveAt(ctx context.Context, cp Checkpoint, seqs ...uint64) (Bundle, error) {
	if len(seqs) == 0 {
		return Bundle{}, fmt.Errorf("no sequence to prove: %w", ErrNoRecord)
	}
	seqs = slices.Compact(slices.Sorted(slices.Values(seqs)))
	b := Bundle{Checkpoint: cp.Note, First: l.o.First}
	for _, seq := range seqs {
		e, err := l.entry(ctx, cp, seq)
		if err != nil {
			return Bundle{}, fmt.Errorf("proving %s/%d: %w", l.o.Stream, seq, err)
		}
		b.Entries = append(b.Entries, e)
	}
	return b, nil
}

func (l *Log) entry(ctx context.Context, cp Checkpoint, seq uint64) (Entry, error) {
	i, ok := LeafIndex(l.o.First, seq)
	if !ok {
		return Entry{}, ErrNoRecord
	}
	var found []Record
	err := l.o.Source.Records(ctx, seq, seq, func(r Record) error {
		found = append(found, r)
		return nil
	})
	if err != nil {
		return Entry{}, err
	}
	if len(found) != 1 {
		return Entry{}, ErrNoRecord
	}
	if i >= cp.Tree.N {
		return Entry{}, ErrNotSealed
	}
	if cp.Tree.N > tile.MaxSize {
		return Entry{}, fmt.Errorf("%w: no log has %d leaves", ErrTile, cp.Tree.N)
	}
	proof, err := tlog.ProveRecord(cp.Tree.N, i, l.proofs(ctx, cp.Tree, nil))
	if err != nil {
		return Entry{}, tileError(ctx, "reading tiles", err)
	}
	e := Entry{Record: found[0], Proof: proof}
	return e, e.check(cp.Tree, l.o.First)
}

// check proves that the entry's record is in the tree, at the place of its sequence.
func (e Entry) check(tree tlog.Tree, first uint64) error {
	i, ok := LeafIndex(first, e.Seq)
	if !ok || i >= tree.N {
		return fmt.Errorf("%w: sequence %d is outside a tree of size %d from %d on", ErrProof, e.Seq, tree.N, first)
	}
	hash, err := e.LeafHash()
	if err != nil {
		return err
	}
	if tree.N > tile.MaxSize || tlog.CheckRecord(e.Proof, tree.N, tree.Hash, i, hash) != nil {
		return fmt.Errorf("%w: sequence %d", ErrProof, e.Seq)
	}
	return nil
}

// Checked is what a bundle has proved.
type Checked struct {
	Checkpoint Checkpoint // with the cosignatures that were verified
	Reverified int        // records for which reverify returned nil
	NotChecked int        // for which it returned ErrNotChecked
}

// Check proves a bundle offline, in this order: the checkpoint is signed by a log key of
// its origin; every record is of that origin's stream; its leaf is in the checkpoint's tree
// at the place of its sequence; and reverify, unless nil, finds nothing wrong with it.
//
// Without reverify it proves that the log held these records when the checkpoint was signed. Only
// reverify proves their sender.
func (b Bundle) Check(keys Keys, reverify func(Record) error) (Checked, error) {
	cp, err := OpenCheckpoint(b.Checkpoint, keys)
	if err != nil {
		return Checked{}, err
	}
	if len(b.Entries) == 0 {
		return Checked{}, fmt.Errorf("%w: it has no record", ErrBundle)
	}
	c := Checked{Checkpoint: cp}
	for i, e := range b.Entries {
		if i > 0 && e.Seq <= b.Entries[i-1].Seq {
			return Checked{}, fmt.Errorf("%w: sequence %d is out of order", ErrBundle, e.Seq)
		}
		if e.Stream == "" || !strings.HasSuffix(cp.Origin, "/"+e.Stream) {
			return Checked{}, fmt.Errorf("%w: sequence %d is of stream %q, not of the log's", ErrProof, e.Seq, e.Stream)
		}
		if err := e.check(cp.Tree, b.First); err != nil {
			return Checked{}, err
		}
		if err := c.reverify(e.Record, reverify); err != nil {
			return Checked{}, err
		}
	}
	return c, nil
}

func (c *Checked) reverify(r Record, reverify func(Record) error) error {
	if reverify == nil {
		return nil
	}
	err := reverify(r)
	switch {
	case err == nil:
		c.Reverified++
	case errors.Is(err, ErrNotChecked):
		c.NotChecked++
	default:
		return fmt.Errorf("%s/%d: %w", r.Stream, r.Seq, err)
	}
	return nil
}

// LeafIndex returns the leaf that stands for a sequence; false if there can be none.
func LeafIndex(first, seq uint64) (int64, bool) {
	if seq < first || seq-first > math.MaxInt64 {
		return 0, false
	}
	return int64(seq - first), true
}
