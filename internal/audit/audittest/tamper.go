package audittest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/verification"
)

// Lined is a source that gives lines, in an order of the names that changes from record to
// record, and spoils what it may when it may.
type Lined struct{ audit.Source }

// Lines implements audit.Liner.
func (s Lined) Lines(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	lines := audit.Lines{}
	return s.Records(ctx, from, to, func(r audit.Record) error {
		lines = lines[:0]
		for name, values := range r.Header { // in any order
			if len(values) == 0 {
				return yield(r) // no lines can say that
			}
			for _, v := range values {
				lines = append(lines, [2]string{name, v})
			}
		}
		r.Header, r.Lines, r.Data = nil, slices.Clip(lines), slices.Clone(r.Data)
		err := yield(r)
		clear(r.Data)
		for i := range lines {
			lines[i] = [2]string{"spoiled", "spoiled"}
		}
		return err
	})
}

// WantTree computes the tree over the stream's first n sequences by package tlog's own
// store, with none of our tiles.
func WantTree(t testing.TB, s *Stream, first uint64, n int64) tlog.Tree {
	t.Helper()
	return WantTrees(t, s, first, n)(n)
}

// WantTrees does that for every size up to n.
func WantTrees(t testing.TB, s *Stream, first uint64, n int64) func(size int64) tlog.Tree {
	t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for i := range n {
		seq := first + uint64(i)
		leaf := audit.AbsentLeaf("JOBS", seq)
		if r, ok := s.Held[seq]; ok {
			leaf, _ = r.AppendLeaf(nil)
		}
		stored, err := tlog.StoredHashes(i, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
	}
	return func(size int64) tlog.Tree {
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			t.Fatal(err)
		}
		return tlog.Tree{N: size, Hash: root}
	}
}

// Verify runs Verify over the world and fails the test if it cannot look.
func (w *World) Verify(t testing.TB, o verification.Options) audit.Report {
	t.Helper()
	report, err := verification.Verify(t.Context(), w.Log, o)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return report
}

// Brief lists the faults as "kind sequence", in order.
func Brief(r audit.Report) []string {
	faults := []string{}
	for _, f := range r.Faults {
		faults = append(faults, fmt.Sprintf("%s %d", f.Kind, f.Seq))
	}
	return faults
}

// KeptAt seals w at each size in turn and returns the checkpoints.
func (w *World) KeptAt(t testing.TB, sizes ...int) []audit.Kept {
	t.Helper()
	s := w.Sealer(t)
	var kept []audit.Kept
	for _, size := range sizes {
		w.Stream.Add(size - int(w.Stream.Newest))
		cp, err := s.Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, audit.Kept{Where: "local file", Note: cp.Note})
	}
	return kept
}

// HugeCheckpoint claims so many leaves, signed with the log's key.
func HugeCheckpoint(t testing.TB, leaves int64) []byte {
	t.Helper()
	text := fmt.Sprintf("%s\n%d\n%s\n", Origin, leaves, tlog.RecordHash([]byte("nothing")))
	signed, err := note.Sign(&note.Note{Text: text}, Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Draining is a stream whose limit pushes out the oldest records while it is read.
type Draining struct {
	*Stream
	begin, until uint64 // when begin is read, all before until go
}

// Records implements audit.Source.
func (d *Draining) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return d.Stream.Records(ctx, from, to, func(r audit.Record) error {
		if r.Seq == d.begin {
			for seq := uint64(1); seq < d.until; seq++ {
				d.Remove(seq)
			}
		}
		return yield(r)
	})
}

// First returns the first sequence that is still there.
func (d *Draining) First(context.Context) (uint64, error) {
	for seq := uint64(1); ; seq++ {
		d.mu.Lock()
		_, ok := d.Held[seq]
		d.mu.Unlock()
		if ok {
			return seq, nil
		}
	}
}

// DrainingLog is a sealed log over a Draining stream.
func DrainingLog(t *testing.T) (*Draining, *audit.Log) {
	t.Helper()
	w := NewWorld(t, 700)
	w.Seal(t)
	d := &Draining{Stream: w.Stream, begin: 100, until: 301}
	log, err := audit.NewLog(audit.LogOptions{
		Origin: Origin, Stream: "JOBS", Source: d, Storage: w.Store, Checkpoints: w.Checkpoints, Keys: Keys(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, log
}

// SignedNote signs a text.
func SignedNote(t testing.TB, text string, signers ...note.Signer) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Move puts the message of one sequence at another, as rewriting the file store would.
func (s *Stream) Move(from, to uint64) {
	r := s.Held[from]
	r.Seq = to
	s.Held[to] = r
}

// OpenLogWith opens the log with other keys.
func (w *World) OpenLogWith(t testing.TB, keys audit.Keys) *audit.Log {
	t.Helper()
	log, err := audit.NewLog(audit.LogOptions{
		Origin: Origin, Stream: "JOBS", Source: w.Stream, Storage: w.Store, Checkpoints: w.Checkpoints, Keys: keys,
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// Disordered yields what a Source must not.
type Disordered struct {
	*Stream
	Said []audit.Record
}

// Records implements audit.Source.
func (d *Disordered) Records(_ context.Context, _, _ uint64, yield func(audit.Record) error) error {
	for _, r := range d.Said {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}
