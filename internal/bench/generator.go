package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"
)

// Generator sends a load. It is made by Start, and must be closed.
type Generator struct {
	load    Load
	address string
	until   time.Time // when the connections end, whatever happens
	workers []*worker
}

// worker is one connection with what it sends and has met with.
type worker struct {
	*conn
	writer *Writer
	tally  *tally
}

// grace is how long a receiver may take for what is not measured, and for an answer.
const grace = 30 * time.Second

// Start connects to the receiver, sends what the load begins with, and warms up. It
// returns an error if any of what it begins with was not answered 200.
func Start(ctx context.Context, l Load) (_ *Generator, err error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	u, err := l.target()
	if err != nil {
		return nil, err
	}
	g := &Generator{load: l, address: address(u), until: time.Now().Add(l.Warmup + l.Duration + 2*grace)}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	for range l.Connections {
		w := &worker{}
		if w.writer, err = NewWriter(l); err != nil {
			return nil, err
		}
		if w.conn, err = dial(ctx, g.address, g.until); err != nil {
			return nil, err
		}
		g.workers = append(g.workers, w)
	}
	if err := g.prepare(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// prepare sends what is not measured.
func (g *Generator) prepare(ctx context.Context) error {
	first, err := g.run(ctx, &closedLoop{first: firstPrime, most: uint64(g.load.Prime), end: time.Now().Add(grace)})
	if err == nil && (int(first.Requests) < g.load.Prime || first.Unexpected > 0) {
		err = fmt.Errorf("of the first %d callbacks %d were answered: %v; check the address, the source and the key",
			g.load.Prime, first.Requests, first.Answers)
	}
	if err == nil && g.load.Warmup > 0 {
		_, err = g.run(ctx, &closedLoop{first: firstWarmup, most: math.MaxUint64, end: time.Now().Add(g.load.Warmup)})
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// Measure sends the load. If ctx ends before, the result is of the time until then.
func (g *Generator) Measure(ctx context.Context) (Result, error) {
	before := ReadUsage(os.Getpid())
	now := time.Now()
	var p pace = &closedLoop{most: math.MaxUint64, end: now.Add(g.load.Duration)}
	if g.load.Rate > 0 {
		p = &openLoop{begin: now, end: now.Add(g.load.Duration), rate: g.load.Rate}
	}
	r, err := g.run(ctx, p)
	r.GeneratorCPU = ReadUsage(os.Getpid()).each(before, r.Requests)
	return r, err
}

// Close closes the connections.
func (g *Generator) Close() {
	for _, w := range g.workers {
		if w.conn != nil {
			_ = w.nc.Close() // what was sent is answered
		}
	}
}

// run sends at a pace on all connections until it ends.
func (g *Generator) run(ctx context.Context, p pace) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now()
	errs := make([]error, len(g.workers))
	var wg sync.WaitGroup
	for i, w := range g.workers {
		w.tally = newTally()
		wg.Go(func() {
			if errs[i] = g.work(ctx, w, p); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	end := time.Now()
	all := newTally()
	for _, w := range g.workers {
		all.add(w.tally)
	}
	r := all.result(end.Sub(begin))
	r.Behind = p.behind(end)
	return r, errors.Join(errs...)
}

// work sends on one connection, and on another when that is of no more use. Its error is
// that the receiver takes no connection.
func (g *Generator) work(ctx context.Context, w *worker, p pace) error {
	for w.send(ctx, p) {
		_ = w.nc.Close() // it failed, or the receiver closes it
		var err error
		if w.conn, err = dial(ctx, g.address, g.until); err != nil {
			return err
		}
	}
	return nil
}

// lastAnswer is how long an answer is waited for after sending was broken off.
const lastAnswer = time.Second

// send sends until the pace ends; it reports true if it needs another connection.
func (w *worker) send(ctx context.Context, p pace) bool {
	nc := w.nc
	defer context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Now().Add(lastAnswer)) })()
	for {
		n, due, ok := p.next(ctx)
		if !ok {
			return false
		}
		request, kind := w.writer.Request(n)
		if due.IsZero() {
			due = time.Now()
		}
		status, body, err := w.do(request)
		if err != nil {
			w.tally.failed++
			return ctx.Err() == nil
		}
		w.tally.record(time.Since(due))
		w.tally.count(kind, status, body)
		if w.closing {
			return true
		}
	}
}
