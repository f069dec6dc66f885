package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// How events are gathered. With an fsync before every acknowledgement JetStream pays
// one for each message, but about four for a whole atomic batch; so a batch is worth
// its cost from minBatch messages on, and from minQuick on where it is staged in memory (see
// staging.go), which leaves one fsync. The figures were measured; see docs/performance.md,
// "Group commit".
const (
	minBatch      = 12
	minQuick      = 4
	mostFew       = 2                    // so often fewer are stored one by one at the same time
	maxBatch      = 256                  // the server's limit is 1,000
	maxBatchBytes = 4 << 20              // what a batch may hold, so that it stays quick
	mostAwait     = 2 * time.Millisecond // what a batch waits in a crowd
)

// gatherer stores messages of one stream that come at the same time as one atomic batch
// of JetStream (NATS ADR-50), one batch after the other. A message that comes alone is
// published at once; only in a crowd a batch waits, for less than a quarter of its time,
// for those who were in the last one.
type gatherer struct {
	bus     *Bus
	once    bool // each message is stored on the condition that its subject is empty
	waiting chan *pending
	quit    chan struct{}
	few     chan struct{} // held while a few messages are stored one by one
	crowd   int           // how many were there at once lately; run's own
	took    time.Duration // by the last batch; run's own
	stopped sync.Once
	wg      sync.WaitGroup
	callers atomic.Int32 // of publish
	single  atomic.Bool  // the server or the stream takes no batches
}

// pending is a message that waits to be stored, and the caller who waits for it.
type pending struct {
	ctx  context.Context
	msg  *message
	done chan outcome // of room for one
}

type outcome struct {
	seq uint64
	err error
}

// startGatherer returns the gatherer of a stream.
func startGatherer(b *Bus, stream jetstream.Stream, once bool) *gatherer {
	g := &gatherer{bus: b, once: once, waiting: make(chan *pending, maxBatch), quit: make(chan struct{}), few: make(chan struct{}, mostFew)}
	g.single.Store(b.opts.OneByOne || !stream.CachedInfo().Config.AllowAtomicPublish)
	g.wg.Go(g.run)
	return g
}

// stop ends the gathering. No call of publish may be under way or follow.
func (g *gatherer) stop() {
	g.stopped.Do(func() { close(g.quit) })
	g.wg.Wait()
}

// publish stores msg and returns its sequence. The error is as JetStream gave it, or
// ErrUnavailable.
func (g *gatherer) publish(ctx context.Context, msg *message) (uint64, error) {
	if g.single.Load() {
		return g.alone(ctx, msg)
	}
	defer g.callers.Add(-1)
	if g.callers.Add(1) == 1 { // who is alone pays for no meeting
		return g.alone(ctx, msg)
	}
	p := &pending{ctx: ctx, msg: msg, done: make(chan outcome, 1)}
	select {
	case g.waiting <- p:
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %v", ErrUnavailable, context.Cause(ctx))
	}
	select {
	case o := <-p.done:
		return o.seq, o.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %v", ErrUnavailable, context.Cause(ctx))
	}
}

// alone stores msg by itself and returns its sequence.
func (g *gatherer) alone(ctx context.Context, msg *message) (uint64, error) {
	ack, err := g.bus.publish(ctx, msg, condition(g.once)...)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

func (g *gatherer) run() {
	batch := make([]*pending, 0, maxBatch)
	for {
		select {
		case first := <-g.waiting:
			batch = g.take(append(batch[:0], first))
		case <-g.quit:
			return
		}
	}
}

// least is how many messages are worth a batch.
func (g *gatherer) least() int {
	if g.bus.server != nil && g.bus.server.quick.Load() {
		return minQuick
	}
	return minBatch
}

// take stores a first message and what has come with it, and returns the slice for the next.
func (g *gatherer) take(batch []*pending) []*pending {
	batch = g.gather(batch)
	if len(batch) < g.least() {
		g.few <- struct{}{}
		batch = g.gather(batch) // what has come meanwhile
		if len(batch) < g.least() {
			few := slices.Clone(batch)
			g.wg.Go(func() {
				g.each(few)
				<-g.few
			})
			return batch
		}
		<-g.few
	}
	// Most of a batch's cost is the same for any size. So in a crowd those who were answered
	// just now, and call again, are waited for.
	if len(batch) < g.crowd {
		batch = g.await(batch, min(g.took/4, mostAwait))
	}
	began := time.Now()
	g.commit(batch)
	g.took, g.crowd = time.Since(began), len(batch)+len(g.waiting)
	return batch
}

// await adds what comes, until the crowd is there or that time is over.
func (g *gatherer) await(batch []*pending, most time.Duration) []*pending {
	late := time.NewTimer(most)
	defer late.Stop()
	for len(batch) < min(g.crowd, maxBatch) && bytesOf(batch) < maxBatchBytes {
		select {
		case p := <-g.waiting:
			batch = g.gather(append(batch, p))
		case <-late.C:
			return batch
		}
	}
	return batch
}

// gather adds what waits already, and waits for nothing.
func (g *gatherer) gather(batch []*pending) []*pending {
	for size := bytesOf(batch); len(batch) < maxBatch && size < maxBatchBytes; {
		select {
		case p := <-g.waiting:
			batch = append(batch, p)
			size += len(p.msg.data)
		default:
			return batch
		}
	}
	return batch
}

// bytesOf returns how many bytes of data a batch holds.
func bytesOf(batch []*pending) (n int) {
	for _, p := range batch {
		n += len(p.msg.data)
	}
	return n
}

// commit stores messages, together if that is worth it; every one has its answer then.
func (g *gatherer) commit(batch []*pending) {
	batch = awaited(batch)
	if len(batch) < g.least() || g.single.Load() {
		g.each(batch)
		return
	}
	err := g.together(batch)
	switch {
	case err == nil:
		return
	case isTaken(err):
		g.split(batch)
	case g.refused(err) || g.once:
		g.each(awaited(batch))
	default: // it may be stored, and nothing keeps it from being stored again
		for _, p := range batch {
			p.done <- outcome{err: err}
		}
	}
}

// awaited returns those of a batch whose callers still wait. The others have told theirs that
// nothing is stored, and are not.
func awaited(batch []*pending) []*pending {
	if !slices.ContainsFunc(batch, func(p *pending) bool { return p.ctx.Err() != nil }) {
		return batch
	}
	still := make([]*pending, 0, len(batch))
	for _, p := range batch {
		if p.ctx.Err() == nil {
			still = append(still, p)
		} else {
			p.done <- outcome{err: fmt.Errorf("%w: %v", ErrUnavailable, context.Cause(p.ctx))}
		}
	}
	return still
}

// refused reports whether the server says that a batch is not stored. It notes that the
// server does not take batches at all, if that is why.
func (g *gatherer) refused(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	if api.ErrorCode == errBatchesDisabled && !g.single.Swap(true) {
		g.bus.opts.Log.Warn().Err(err).Msg("the stream takes no atomic batches: events are stored one by one")
	}
	return true
}

const errBatchesDisabled jetstream.ErrorCode = 10174

// split resolves a batch that was refused because some subject is taken: those that
// are get their answer, and the others are stored without them.
func (g *gatherer) split(batch []*pending) {
	taken, err := g.bus.taken(batch)
	if err != nil {
		g.each(batch)
		return
	}
	free := make([]*pending, 0, len(batch))
	for _, p := range batch {
		switch {
		case taken[p.msg.subject]:
			p.done <- outcome{err: errTaken}
		default:
			taken[p.msg.subject] = true // a second one in this batch is too late
			free = append(free, p)
		}
	}
	if len(free) < g.least() || g.together(free) != nil {
		g.each(free)
	}
}

// errTaken is what JetStream answers to a message whose subject is not empty.
var errTaken = &jetstream.APIError{Code: 400, ErrorCode: errWrongLastSequence, Description: "wrong last sequence"}

// each publishes messages one by one, in their order, all under way at once.
func (g *gatherer) each(batch []*pending) {
	var waiting sync.WaitGroup
	for _, p := range batch {
		sent, err := g.bus.send(p.ctx, p.msg, condition(g.once)...)
		if err != nil {
			p.done <- outcome{err: err}
			continue
		}
		waiting.Go(func() {
			ack, err := sent.wait(p.ctx)
			if err != nil {
				p.done <- outcome{err: err}
				return
			}
			p.done <- outcome{seq: ack.Sequence}
		})
	}
	waiting.Wait()
}

// together stores a batch whole or not at all; on success every caller has its answer.
func (g *gatherer) together(batch []*pending) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.bus.opts.Timeout)
	defer cancel()
	messages := make([]*message, len(batch))
	for i, p := range batch {
		messages[i] = p.msg
	}
	last, err := g.bus.batch(ctx, messages, g.once)
	if err != nil {
		return err
	}
	for i, p := range batch {
		p.done <- outcome{seq: last - uint64(len(batch)-1-i)}
	}
	return nil
}

// batch stores messages whole or not at all, each on the condition, if once is true, that
// its subject is empty, and returns the sequence of the last.
func (b *Bus) batch(ctx context.Context, messages []*message, once bool) (uint64, error) {
	id := nuid.Next()
	last := len(messages) - 1
	for i, m := range messages[:last] {
		if err := b.tell(ctx, m, member(id, i+1, once)...); err != nil {
			return 0, err
		}
	}
	ack, err := b.publish(ctx, messages[last], append(member(id, last+1, once), header{"Nats-Batch-Commit", "1"})...)
	if err != nil {
		return 0, err
	}
	if ack.Sequence < uint64(len(messages)) {
		return 0, fmt.Errorf("JetStream stored a batch of %d up to sequence %d", len(messages), ack.Sequence)
	}
	return ack.Sequence, nil
}

// unused is the condition that a message's subject is empty.
var unused = []header{expect(0)}

// condition is what is asked of a message's subject.
func condition(once bool) []header {
	if once {
		return unused
	}
	return nil
}

// member returns the headers of the n-th message of a batch.
func member(id string, n int, once bool) []header {
	return append(slices.Clip(condition(once)), header{"Nats-Batch-Id", id}, header{"Nats-Batch-Sequence", strconv.Itoa(n)})
}

// taken returns which of the messages' subjects hold a message, by one request for
// the last of each.
func (b *Bus) taken(batch []*pending) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), b.opts.Timeout)
	defer cancel()
	subjects := make([]string, 0, len(batch))
	for _, p := range batch {
		subjects = append(subjects, p.msg.subject)
	}
	taken := make(map[string]bool, len(batch))
	err := b.lastOf(ctx, subjects, func(m *nats.Msg) { taken[m.Header.Get(jetstream.SubjectHeader)] = true })
	return taken, err
}
