package publish

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// The flags of a sequence: the message was erased, or the record only notes that another
// file's message was removed.
const (
	erasedFlag  = 1 << 63
	removedFlag = 1 << 62
)

// span is sequences one after the other.
type span struct{ first, last uint64 }

func (s span) String() string {
	if s.first == s.last {
		return fmt.Sprintf("sequence %d", s.first)
	}
	return fmt.Sprintf("sequences %d to %d", s.first, s.last)
}

// walked is which sequences block files hold, to go by the heads of their records. No
// checksum is looked at.
type walked struct {
	spans   []span          // ascending
	removed map[uint64]bool // noted as removed by whoever may
	last    uint64          // the highest of all
	opaque  bool            // something is compressed, so that not all is known
}

// first is the first sequence that has a record; 0 if none has.
func (w walked) first() uint64 {
	if len(w.spans) == 0 {
		return 0
	}
	return w.spans[0].first
}

// holes are the sequences between the first and the last that have no record, and of which
// none notes that they were removed.
func (w walked) holes() (holes []span, n uint64) {
	next := w.first()
	if next == 0 {
		return nil, 0
	}
	for _, s := range append(slices.Clone(w.spans), span{w.last + 1, w.last + 1}) {
		for _, h := range w.without(next, s.first) {
			holes = append(holes, h)
			n += h.last - h.first + 1
		}
		next = max(next, s.last+1)
	}
	return holes, n
}

// without splits the sequences from..to-1 at those that were removed.
func (w walked) without(from, to uint64) (left []span) {
	if from >= to {
		return nil
	}
	var cuts []uint64
	for seq := range w.removed {
		if seq >= from && seq < to {
			cuts = append(cuts, seq)
		}
	}
	slices.Sort(cuts)
	for _, cut := range append(cuts, to) {
		if cut > from {
			left = append(left, span{from, cut - 1})
		}
		from = cut + 1
	}
	return left
}

// add takes one sequence, in the order of the files.
func (w *walked) add(seq uint64) {
	w.last = max(w.last, seq)
	n := len(w.spans)
	switch {
	case n > 0 && seq == w.spans[n-1].last+1:
		w.spans[n-1].last = seq
	case n == 0 || seq > w.spans[n-1].last:
		w.spans = append(w.spans, span{seq, seq})
	}
}

// join takes what the file behind holds.
func (w *walked) join(next walked) {
	for _, s := range next.spans {
		n := len(w.spans)
		if n > 0 && s.first <= w.spans[n-1].last+1 {
			w.spans[n-1].last = max(w.spans[n-1].last, s.last)
			continue
		}
		w.spans = append(w.spans, s)
	}
	for seq := range next.removed {
		w.remove(seq)
	}
	w.last, w.opaque = max(w.last, next.last), w.opaque || next.opaque
}

func (w *walked) remove(seq uint64) {
	if w.removed == nil {
		w.removed = map[uint64]bool{}
	}
	w.removed[seq] = true
	w.last = max(w.last, seq)
}

// walkFile goes through one file up to its end, or to what is no record; a file that is
// not there holds nothing.
func walkFile(path string) (w walked, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return w, err
	}
	w.opaque = bytes.HasPrefix(data, []byte(compressedHead))
	for !w.opaque {
		r, ok := parseRecord(data)
		if !ok {
			break
		}
		switch seq := r.seq &^ sequenceFlags; {
		case seq == 0 || seq > w.last+largestJump && w.last > 0:
		case r.seq&removedFlag != 0:
			w.remove(seq)
		default:
			w.add(seq)
		}
		data = data[r.length:]
	}
	return w, nil
}

// size is how many bytes the files of a stream have.
func (f blockFolder) size() (n int64, err error) {
	indexes, err := blockFiles(f.path)
	for _, index := range indexes {
		if info, err := os.Stat(f.name(index)); err == nil {
			n += info.Size()
		}
	}
	return n, err
}

// walk goes through all files of a stream, several at once; or, if only
// its end is asked for, through the last that hold anything.
func (f blockFolder) walk(endOnly bool) (all walked, err error) {
	indexes, err := blockFiles(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	for endOnly && len(indexes) > 0 && all.last == 0 && !all.opaque {
		if all, err = walkFile(f.name(indexes[len(indexes)-1])); err != nil {
			return all, err
		}
		indexes = indexes[:len(indexes)-1]
	}
	if endOnly {
		return all, nil
	}
	found, errs := make([]walked, len(indexes)), make([]error, len(indexes))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(indexes); i = int(next.Add(1)) - 1 {
				found[i], errs[i] = walkFile(f.name(indexes[i]))
			}
		})
	}
	workers.Wait()
	for _, w := range found {
		all.join(w)
	}
	return all, errors.Join(errs...)
}
