package audit

import (
	"context"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	hashers    = 2       // goroutines that hash and re-verify
	chunkCount = 256     // records that travel together,
	chunkBytes = 1 << 20 // or fewer, when they are large
	usualLines = 20      // of headers in a record
)

// Hashed is a record with everything computed that can be computed beside reading.
type Hashed struct {
	Record
	Hash     tlog.Hash // zero when the record has no encoding
	HMAC     error     // what Reverify said
	Misdated error     // what Inspect said
}

// Checks are what is asked about each record that is read, from two goroutines at once; a nil one
// asks nothing. They must not keep the record's Header.
type Checks struct {
	Reverify func(Record) error // of what the record itself claims (its HMAC)
	Inspect  func(Record) error // of the times that it names
}

type chunk struct {
	records []Hashed
	lines   Lines // of all that have any
	data    []byte
	bytes   int
	done    chan struct{}
}

func newChunk() *chunk {
	return &chunk{records: make([]Hashed, 0, chunkCount), lines: make(Lines, 0, chunkCount*usualLines), done: make(chan struct{})}
}

func (c *chunk) add(r Record) {
	if r.Lines != nil {
		at := len(c.lines)
		c.lines = append(c.lines, r.Lines...)
		r.Lines = c.lines[at:len(c.lines):len(c.lines)]
		at = len(c.data)
		c.data = append(c.data, r.Data...)
		r.Data = c.data[at:len(c.data):len(c.data)]
	}
	c.records = append(c.records, Hashed{Record: r})
	c.bytes += len(r.Data)
}

func (c *chunk) full() bool { return len(c.records) >= chunkCount || c.bytes >= chunkBytes }

// worker is the memory of one goroutine that hashes and re-verifies.
type worker struct {
	leaves  leafHasher
	headers headers
}

func (c *chunk) work(w *worker, checks Checks) {
	defer close(c.done)
	for i := range c.records {
		r := &c.records[i]
		r.Hash, _ = w.leaves.hash(r.Record)
		if checks.Reverify == nil && checks.Inspect == nil {
			continue
		}
		whole := w.headers.whole(r.Record)
		if checks.Reverify != nil {
			r.HMAC = checks.Reverify(whole)
		}
		if checks.Inspect != nil {
			r.Misdated = checks.Inspect(whole)
		}
	}
}

// ReadHashed reads from..to, hashes on two goroutines and calls yield in reading order, on
// the caller's goroutine. All goroutines have ended when it returns.
func ReadHashed(ctx context.Context, src Source, from, to uint64, checks Checks, yield func(Hashed) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo, order := make(chan *chunk), make(chan *chunk, 2*hashers)
	var wg sync.WaitGroup
	for range hashers {
		wg.Go(func() {
			var w worker
			for c := range todo {
				c.work(&w, checks)
			}
		})
	}
	var readErr error
	wg.Go(func() {
		defer close(order)
		defer close(todo)
		readErr = readChunks(ctx, src, from, to, todo, order)
	})
	err := yieldChunks(order, yield)
	cancel()
	wg.Wait()
	if err != nil {
		return err
	}
	return readErr
}

func readChunks(ctx context.Context, src Source, from, to uint64, todo, order chan<- *chunk) error {
	send := func(c *chunk) error {
		for _, ch := range []chan<- *chunk{todo, order} { // in order only once a worker has it
			select {
			case ch <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	next := newChunk()
	err := ReadRecords(ctx, src, from, to, func(r Record) error {
		next.add(r)
		if !next.full() {
			return nil
		}
		full := next
		next = newChunk()
		return send(full)
	})
	// The records read before an error count all the same: a damaged file ends a read late.
	if len(next.records) > 0 && ctx.Err() == nil {
		if sendErr := send(next); sendErr != nil {
			return sendErr
		}
	}
	return err
}

func yieldChunks(order <-chan *chunk, yield func(Hashed) error) error {
	for c := range order {
		<-c.done
		for _, r := range c.records {
			if err := yield(r); err != nil {
				return err
			}
		}
	}
	return nil
}
