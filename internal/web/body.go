package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Sizes of bodies, in bytes.
const (
	small = 8 << 10  // up to here a body takes nothing of the budget: connections bound these
	usual = 64 << 10 // up to here there is a quarter of the budget beside it
)

// budget limits the memory of all bodies under way. They are not authenticated yet, and a limit for
// each body is not enough if any client can open connections. Large bodies that use it up leave a
// reserve for usual callbacks.
type budget struct {
	limit int64
	left  atomic.Int64
	// kept bounds the bytes of authentic bodies on their way to the store, which copies each
	// several times; the others wait where they were read.
	kept *semaphore.Weighted
	most int64 // that kept holds
}

// newBudget returns a budget of limit bytes, for bodies of at most largest.
func newBudget(limit, largest int64) *budget {
	b := &budget{limit: limit, most: max(largest, limit/8)}
	b.left.Store(limit)
	b.kept = semaphore.NewWeighted(b.most)
	return b
}

// errNoRoom is returned while reading a body that the budget has no room for.
var errNoRoom = errors.New("too many large bodies at once")

// arrival is a body that has come, or is coming. It must be freed.
//
// All but small ones lie in memory that is lent by the system: it takes as much as has come,
// however much was announced, is never copied to make room, and is gone at once when it is
// given back, which garbage is not. So nothing may hold on to it: keep returns a copy.
type arrival struct {
	bytes  []byte
	lent   []byte // what bytes lie in; nil for small ones
	from   *budget
	taken  int64 // of the budget
	kept   int64 // of its semaphore
	proved func()
}

// take takes room for what makes the body as long as size. A usual one has a reserve.
func (a *arrival) take(size int64, usual bool) error {
	n, floor := size-a.taken, int64(0)
	if usual {
		floor = -a.from.limit / 4
	}
	if a.from.left.Add(-n) < floor {
		a.from.left.Add(n)
		return errNoRoom
	}
	a.taken = size
	return nil
}

// Keep implements callback.Keeper.
func (a *arrival) Keep(ctx context.Context) ([]byte, error) {
	a.proved()
	if a.lent == nil {
		return a.bytes, nil
	}
	n := min(int64(len(a.bytes)), a.from.most)
	if err := a.from.kept.Acquire(ctx, n); err != nil {
		return nil, err
	}
	a.kept = n
	a.bytes = bytes.Clone(a.bytes)
	a.giveBack()
	return a.bytes, nil
}

// giveBack gives lent memory back. Its bytes must not be used any more.
func (a *arrival) giveBack() {
	if a.lent != nil {
		unlend(a.lent)
		a.lent = nil
	}
}

// release gives back all that the body holds.
func (a *arrival) release() {
	if a.lent != nil {
		a.bytes = nil
	}
	a.giveBack()
	if a.taken > 0 {
		a.from.left.Add(a.taken)
	}
	if a.kept > 0 {
		a.from.kept.Release(a.kept)
	}
	a.taken, a.kept = 0, 0
}

var arrivals = sync.Pool{New: func() any { return &arrival{} }}

// free releases what the body holds. The arrival must not be used any more.
func (a *arrival) free() {
	a.release()
	*a = arrival{}
	arrivals.Put(a)
}

// read reads the whole body, or returns *http.MaxBytesError or errNoRoom without reading on.
// A body of unknown length is measured as it comes and never cut. The arrival is never nil.
func (b *budget) read(w http.ResponseWriter, r *http.Request, limit int64) (*arrival, error) {
	a := arrivals.Get().(*arrival)
	a.from = b
	length := r.ContentLength
	if length > limit {
		return a, &http.MaxBytesError{Limit: limit}
	}
	if 0 <= length && length <= small {
		a.bytes = make([]byte, length)
		_, err := io.ReadFull(r.Body, a.bytes)
		return a, err
	}
	coming := http.MaxBytesReader(w, r.Body, limit)
	if length > 0 {
		return a, a.readOn(coming, length, true)
	}
	first := make([]byte, min(small, limit)+1)
	n, err := fill(coming, first)
	a.bytes = first[:n]
	switch {
	case errors.Is(err, io.EOF):
		return a, nil
	case err != nil:
		return a, err
	}
	return a, a.readOn(coming, limit+1, false) // one byte more, to see the end
}

// fill reads until p is full, or returns the reader's own error: a body that is cut off must
// not look like one that has ended.
func fill(from io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = from.Read(p[n:])
		n += more
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}

// readOn reads the rest of a body into lent memory of that size, until it is full if its
// length is known, else to its end. Room is taken before it is used.
func (a *arrival) readOn(coming io.Reader, size int64, known bool) error {
	lent, err := lend(size)
	if err != nil {
		return errNoRoom
	}
	a.lent = lent
	n, more := int64(copy(lent, a.bytes)), 0
	for err == nil && n < size {
		step := min(size, n+min(max(n, 2*small), usual))
		if err = a.take(step, !known && step <= usual || size <= usual); err == nil {
			more, err = fill(coming, lent[n:step])
			n += int64(more)
		}
	}
	a.bytes = lent[:n]
	if !known && errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
