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
)

// hashed is a record with everything computed that can be computed beside reading.
type hashed struct {
	Record
	hash tlog.Hash // zero when the record has no encoding
	hmac error     // what Reverify said
}

type chunk struct {
	records []hashed
	bytes   int
	done    chan struct{}
}

func (c *chunk) add(r Record) {
	c.records = append(c.records, hashed{Record: r})
	c.bytes += len(r.Data)
}

func (c *chunk) full() bool { return len(c.records) >= chunkCount || c.bytes >= chunkBytes }

func (c *chunk) work(check func(Record) error) {
	defer close(c.done)
	var h leafHasher
	for i := range c.records {
		r := &c.records[i]
		r.hash, _ = h.hash(r.Record)
		if check != nil {
			r.hmac = check(r.Record)
		}
	}
}

// readHashed reads from..to, hashes on two goroutines and calls yield in reading order, on
// the caller's goroutine. All goroutines have ended when it returns.
func readHashed(ctx context.Context, src Source, from, to uint64, check func(Record) error, yield func(hashed) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo, order := make(chan *chunk), make(chan *chunk, 2*hashers)
	var wg sync.WaitGroup
	for range hashers {
		wg.Go(func() {
			for c := range todo {
				c.work(check)
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
	next := &chunk{done: make(chan struct{})}
	err := src.Records(ctx, from, to, func(r Record) error {
		next.add(r)
		if !next.full() {
			return nil
		}
		full := next
		next = &chunk{done: make(chan struct{})}
		return send(full)
	})
	// What was read before an error counts all the same: a damaged file ends a reading late.
	if len(next.records) > 0 && ctx.Err() == nil {
		if sendErr := send(next); sendErr != nil {
			return sendErr
		}
	}
	return err
}

func yieldChunks(order <-chan *chunk, yield func(hashed) error) error {
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
