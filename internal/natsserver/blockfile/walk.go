package blockfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"receiver/internal/durable"
)

// The flags of a sequence: the message was erased, or the record notes that a message in another
// file was removed.
const (
	erasedFlag  = 1 << 63
	removedFlag = 1 << 62
)

// Span is a run of consecutive sequences.
type Span struct{ First, Last uint64 }

func (s Span) String() string {
	if s.First == s.Last {
		return fmt.Sprintf("sequence %d", s.First)
	}
	return fmt.Sprintf("sequences %d to %d", s.First, s.Last)
}

// Content is which sequences block files hold, according to the heads of their records. Checksums
// are not checked.
type Content struct {
	Spans      []Span          // ascending
	Removed    map[uint64]bool // noted as removed by a client that may do so
	Last       uint64          // the highest of all
	Compressed bool            // something is compressed, so that not all is known
}

// First is the first sequence that has a record; 0 if none has.
func (w Content) First() uint64 {
	if len(w.Spans) == 0 {
		return 0
	}
	return w.Spans[0].First
}

// Holes are the sequences between the first and the last that have no record and are not noted as
// removed.
func (w Content) Holes() (holes []Span, n uint64) {
	next := w.First()
	if next == 0 {
		return nil, 0
	}
	for _, s := range append(slices.Clone(w.Spans), Span{w.Last + 1, w.Last + 1}) {
		for _, h := range w.without(next, s.First) {
			holes = append(holes, h)
			n += h.Last - h.First + 1
		}
		next = max(next, s.Last+1)
	}
	return holes, n
}

// without splits the sequences from..to-1 at those that were removed.
func (w Content) without(from, to uint64) (left []Span) {
	if from >= to {
		return nil
	}
	var cuts []uint64
	for seq := range w.Removed {
		if seq >= from && seq < to {
			cuts = append(cuts, seq)
		}
	}
	slices.Sort(cuts)
	for _, cut := range append(cuts, to) {
		if cut > from {
			left = append(left, Span{from, cut - 1})
		}
		from = cut + 1
	}
	return left
}

// add adds one sequence, in the order of the files.
func (w *Content) add(seq uint64) {
	w.Last = max(w.Last, seq)
	n := len(w.Spans)
	switch {
	case n > 0 && seq == w.Spans[n-1].Last+1:
		w.Spans[n-1].Last = seq
	case n == 0 || seq > w.Spans[n-1].Last:
		w.Spans = append(w.Spans, Span{seq, seq})
	}
}

// join adds the content of the next file.
func (w *Content) join(next Content) {
	for _, s := range next.Spans {
		n := len(w.Spans)
		if n > 0 && s.First <= w.Spans[n-1].Last+1 {
			w.Spans[n-1].Last = max(w.Spans[n-1].Last, s.Last)
			continue
		}
		w.Spans = append(w.Spans, s)
	}
	for seq := range next.Removed {
		w.remove(seq)
	}
	w.Last, w.Compressed = max(w.Last, next.Last), w.Compressed || next.Compressed
}

func (w *Content) remove(seq uint64) {
	if w.Removed == nil {
		w.Removed = map[uint64]bool{}
	}
	w.Removed[seq] = true
	w.Last = max(w.Last, seq)
}

// WalkFile reads one file up to its end, or to bytes that are no record; a missing file holds
// nothing.
func (f Folder) WalkFile(index uint32) (w Content, err error) {
	data, err := os.ReadFile(f.File(index))
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return w, err
	}
	w.Compressed = bytes.HasPrefix(data, []byte(compressedHead))
	for !w.Compressed {
		r, ok := parseRecord(data)
		if !ok {
			break
		}
		switch seq := r.seq &^ sequenceFlags; {
		case seq == 0 || seq > w.Last+f.largestJump() && w.Last > 0:
		case r.seq&removedFlag != 0:
			w.remove(seq)
		default:
			w.add(seq)
		}
		data = data[r.length:]
	}
	return w, nil
}

// Size is the size of a stream's files in bytes.
func (f Folder) Size() (n int64, err error) {
	indexes, err := f.Indexes()
	for _, index := range indexes {
		if info, err := os.Stat(f.File(index)); err == nil {
			n += info.Size()
		}
	}
	return n, err
}

// Walk reads all files of a stream, several at once; with endOnly, it reads from the end until it
// finds a sequence.
func (f Folder) Walk(endOnly bool) (all Content, err error) {
	indexes, err := f.Indexes()
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	for endOnly && len(indexes) > 0 && all.Last == 0 && !all.Compressed {
		if all, err = f.WalkFile(indexes[len(indexes)-1]); err != nil {
			return all, err
		}
		indexes = indexes[:len(indexes)-1]
	}
	if endOnly {
		return all, nil
	}
	found, errs := make([]Content, len(indexes)), make([]error, len(indexes))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(indexes); i = int(next.Add(1)) - 1 {
				found[i], errs[i] = f.WalkFile(indexes[i])
			}
		})
	}
	workers.Wait()
	for _, w := range found {
		all.join(w)
	}
	return all, errors.Join(errs...)
}

// ExtendTo makes a stream end at a sequence at least, by a file that only notes the message of that
// sequence as removed.
func (f Folder) ExtendTo(seq uint64) error {
	now, err := f.Walk(false)
	if err != nil || now.Last >= seq || now.Compressed {
		return err
	}
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return err
	}
	indexes, err := f.Indexes()
	if err != nil {
		return err
	}
	index := uint32(1)
	if n := len(indexes); n > 0 {
		index = indexes[n-1] + 1
	}
	record, err := f.removal(index, seq, time.Now())
	if err != nil {
		return err
	}
	return durable.WriteFile(f.File(index), record)
}

// removal is the record that a message was removed.
func (f Folder) removal(index uint32, seq uint64, at time.Time) ([]byte, error) {
	b, err := f.block(index, nil)
	if err != nil {
		return nil, err
	}
	record := make([]byte, blockHead, blockHead+blockChecksum)
	binary.LittleEndian.PutUint32(record, blockHead+blockChecksum)
	binary.LittleEndian.PutUint64(record[4:], seq|removedFlag)
	binary.LittleEndian.PutUint64(record[12:], uint64(at.UnixNano()))
	b.hash.Write(record[4:20]) // a hash never returns an error
	return b.hash.Sum(record), nil
}
