package audit

import (
	"time"

	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// SealedHash returns the leaf hash that is sealed for a sequence, proved against the newest
// checkpoint. It is there after the record is gone; Record.LeafHash of the record that was
// sealed, or the hash of AbsentLeaf, equals it. The errors are those of Prove.
func (l *Log) SealedHash(ctx context.Context, seq uint64) (tlog.Hash, error) {
	cp, err := l.Checkpoint(ctx)
	if err != nil {
		return tlog.Hash{}, err
	}
	i, ok := LeafIndex(l.o.First, seq)
	if !ok {
		return tlog.Hash{}, fmt.Errorf("%s/%d: %w", l.o.Stream, seq, ErrNoRecord)
	}
	if i >= cp.Tree.N {
		return tlog.Hash{}, fmt.Errorf("%s/%d: %w", l.o.Stream, seq, ErrNotSealed)
	}
	hashes, err := l.proofs(ctx, cp.Tree, nil).ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
	if err != nil {
		return tlog.Hash{}, tileError(ctx, "reading tiles", err)
	}
	return hashes[0], nil
}

// SetBatch sets the largest number of leaves that one checkpoint adds.
func (s *Sealer) SetBatch(n int64) { s.batch = n }

// ParseLeaf is ParseLeafLines with the headers in Header.
func ParseLeaf(leaf []byte) (r Record, absent bool, err error) {
	r, absent, err = ParseLeafLines(leaf)
	return r.WithHeader(), absent, err
}

// Search makes the next sealing search for lost tiles.
func (s *Sealer) Search() { s.rebuilder.due = time.Time{} }

// SetMaxDerived sets how many derived tiles are held.
func SetMaxDerived(n int) { maxDerived = n }
