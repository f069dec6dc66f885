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

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
	"receiver/internal/publish/sender"
)

// Group commit. With an fsync before every acknowledgement JetStream calls it once for each
// message, but about four times for a whole atomic batch, so a batch pays off from minBatch
// messages on. Where batches are staged in memory (see internal/natsserver/staging.go), one fsync
// is left, and it pays off from minBatchInMemory on. The figures were measured; see
// docs/performance.md, "Group commit".
const (
	minBatch         = 12
	minBatchInMemory = 4
	maxSmallBatches  = 2                    // so often fewer are stored one by one at the same time
	maxBatchWait     = 2 * time.Millisecond // how long a batch waits for more messages
)

// groupCommit stores messages of one stream that are published at the same time as one atomic batch
// of JetStream (NATS ADR-50), one batch after the other, or one by one where that is faster. A
// single message is published at once. Only when many callers publish at once, a batch waits for
// the callers of the last one, for less than a quarter of the time that it took.
type groupCommit struct {
	store           *Store
	unique          bool // each message is stored on the condition that its subject is empty
	waiting         chan *pending
	closing         chan struct{}
	smallBatches    chan struct{} // held while a few messages are stored one by one
	lastConcurrency int           // how many were there at once lately; run's own
	lastDuration    time.Duration // by the last batch; run's own
	stopped         sync.Once
	wg              sync.WaitGroup
	callers         atomic.Int32 // of add
	batchesDisabled atomic.Bool  // the server or the stream takes no batches
	choice          *choice      // nil if batches are always worth it
}

// pending is a message that waits to be stored, and the caller who waits for it.
type pending struct {
	ctx  context.Context
	msg  *message
	done chan outcome // with a buffer of one
}

type outcome struct {
	seq uint64
	err error
}

// startGroupCommit starts the group commit of a stream.
func startGroupCommit(b *Store, stream jetstream.Stream, once bool) *groupCommit {
	g := &groupCommit{store: b, unique: once, waiting: make(chan *pending, conn.MaxBatch), closing: make(chan struct{}), smallBatches: make(chan struct{}, maxSmallBatches)}
	g.batchesDisabled.Store(b.opts.OneByOne || stream == nil || !stream.CachedInfo().Config.AllowAtomicPublish)
	if b.contact != nil && stream != nil {
		log := b.opts.Log.With().Str("stream", stream.CachedInfo().Config.Name).Logger()
		g.choice = &choice{now: time.Now, connection: b.sender.Connections, log: log}
	}
	g.wg.Go(g.run)
	return g
}

// stop ends the group commit. No call of add may be running or follow.
func (g *groupCommit) stop() {
	g.stopped.Do(func() { close(g.closing) })
	g.wg.Wait()
}

// add stores msg, in a batch with others if there are any, and returns its sequence. The error is
// as JetStream gave it, or ErrUnavailable.
func (g *groupCommit) add(ctx context.Context, msg *message) (seq uint64, err error) {
	defer g.store.figures.Load().Done(time.Now(), &err)
	if g.batchesDisabled.Load() {
		return g.commitOne(ctx, msg)
	}
	defer g.callers.Add(-1)
	callers, way, began := int(g.callers.Add(1)), g.choice.current(), time.Now()
	store := g.commitWithOthers
	if callers == 1 || way == oneByOne { // a single caller does not wait for a batch
		store = g.commitOne
	}
	seq, err = store(ctx, msg)
	if err == nil {
		g.choice.note(way, time.Since(began), callers)
	}
	return seq, err
}

// commitWithOthers stores msg in a batch with those that other callers add, and returns its
// sequence.
func (g *groupCommit) commitWithOthers(ctx context.Context, msg *message) (uint64, error) {
	p := &pending{ctx: ctx, msg: msg, done: make(chan outcome, 1)}
	select {
	case g.waiting <- p:
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %v", conn.ErrUnavailable, context.Cause(ctx))
	}
	select {
	case o := <-p.done:
		return o.seq, o.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %v", conn.ErrUnavailable, context.Cause(ctx))
	}
}

// commitOne stores msg in no batch and returns its sequence.
func (g *groupCommit) commitOne(ctx context.Context, msg *message) (uint64, error) {
	return g.store.sendAndWait(ctx, msg, condition(g.unique))
}

func (g *groupCommit) run() {
	batch := make([]*pending, 0, conn.MaxBatch)
	for {
		select {
		case first := <-g.waiting:
			batch = g.commitWith(append(batch[:0], first))
		case <-g.closing:
			return
		}
	}
}

// minSize is how many messages are worth a batch.
func (g *groupCommit) minSize() int {
	if g.store.server != nil && g.store.server.BatchesInMemory() {
		return minBatchInMemory
	}
	return minBatch
}

// commitWith stores a first message with those that wait, and returns the slice for the next batch.
func (g *groupCommit) commitWith(batch []*pending) []*pending {
	batch = g.addWaiting(batch)
	if len(batch) < g.minSize() {
		g.smallBatches <- struct{}{}
		batch = g.addWaiting(batch) // those that were added meanwhile
		if len(batch) < g.minSize() {
			few := slices.Clone(batch)
			g.wg.Go(func() {
				g.commitEach(few)
				<-g.smallBatches
			})
			return batch
		}
		<-g.smallBatches
	}
	// Most of the cost of a batch does not depend on its size. So when many callers publish, the
	// batch waits for those that were answered just now and publish again.
	if len(batch) < g.lastConcurrency {
		batch = g.waitForMore(batch, min(g.lastDuration/4, maxBatchWait))
	}
	began := time.Now()
	g.commit(batch)
	g.lastDuration, g.lastConcurrency = time.Since(began), len(batch)+len(g.waiting)
	return batch
}

// waitForMore adds messages until there are as many as in the last batch, or the time is over.
func (g *groupCommit) waitForMore(batch []*pending, most time.Duration) []*pending {
	late := time.NewTimer(most)
	defer late.Stop()
	for len(batch) < min(g.lastConcurrency, conn.MaxBatch) && bytesOf(batch) < conn.MaxBatchBytes {
		select {
		case p := <-g.waiting:
			batch = g.addWaiting(append(batch, p))
		case <-late.C:
			return batch
		}
	}
	return batch
}

// addWaiting adds the messages that wait already.
func (g *groupCommit) addWaiting(batch []*pending) []*pending {
	for size := bytesOf(batch); len(batch) < conn.MaxBatch && size < conn.MaxBatchBytes; {
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

// commit stores messages, in a batch if that is worth it; every caller has its answer then.
func (g *groupCommit) commit(batch []*pending) {
	batch = withoutCancelled(batch)
	if len(batch) < g.minSize() || g.batchesDisabled.Load() {
		g.commitEach(batch)
		return
	}
	err := g.commitBatch(batch)
	switch {
	case err == nil:
		return
	case sender.Taken(err):
		g.commitWithoutTaken(batch)
	case g.refused(err) || g.unique:
		g.commitEach(withoutCancelled(batch))
	default: // it may be stored, and nothing keeps it from being stored again
		for _, p := range batch {
			p.done <- outcome{err: err}
		}
	}
}

// withoutCancelled returns the messages whose callers still wait. The other callers have returned
// an error, so their messages are not stored.
func withoutCancelled(batch []*pending) []*pending {
	if !slices.ContainsFunc(batch, func(p *pending) bool { return p.ctx.Err() != nil }) {
		return batch
	}
	still := make([]*pending, 0, len(batch))
	for _, p := range batch {
		if p.ctx.Err() == nil {
			still = append(still, p)
		} else {
			p.done <- outcome{err: fmt.Errorf("%w: %v", conn.ErrUnavailable, context.Cause(p.ctx))}
		}
	}
	return still
}

// refused reports whether the server says that a batch is not stored. It notes whether the server
// takes no batches at all.
func (g *groupCommit) refused(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	if api.ErrorCode == sender.BatchesDisabled && !g.batchesDisabled.Swap(true) {
		g.store.opts.Log.Warn().Err(err).Msg("the stream takes no atomic batches; events are stored one by one")
	}
	return true
}

// commitWithoutTaken handles a batch that was refused because some subjects are not empty: their
// messages get that answer, and the others are stored without them.
func (g *groupCommit) commitWithoutTaken(batch []*pending) {
	taken, err := g.store.taken(batch)
	if err != nil {
		g.commitEach(batch)
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
	if len(free) < g.minSize() || g.commitBatch(free) != nil {
		g.commitEach(free)
	}
}

// errTaken is the answer of JetStream to a message whose subject is not empty.
var errTaken = &jetstream.APIError{Code: 400, ErrorCode: sender.WrongLastSequence, Description: "wrong last sequence"}

// commitEach publishes messages one by one, in their order, without waiting for the one before.
func (g *groupCommit) commitEach(batch []*pending) {
	var waiting sync.WaitGroup
	for _, p := range batch {
		sent, err := g.store.sender.Send(p.ctx, toSend(p.msg, condition(g.unique)))
		if err != nil {
			p.done <- outcome{err: err}
			continue
		}
		waiting.Go(func() {
			seq, err := sent.Wait(p.ctx)
			p.done <- outcome{seq, err}
		})
	}
	waiting.Wait()
}

// commitBatch stores a batch whole or not at all; on success every caller has its answer.
func (g *groupCommit) commitBatch(batch []*pending) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.store.opts.Timeout)
	defer cancel()
	messages := make([]*message, len(batch))
	for i, p := range batch {
		messages[i] = p.msg
	}
	last, err := g.store.batch(ctx, messages, g.unique)
	if err != nil {
		return err
	}
	g.store.figures.Load().Stored(len(batch))
	for i, p := range batch {
		p.done <- outcome{seq: last - uint64(len(batch)-1-i)}
	}
	return nil
}

// batch stores messages whole or not at all, each on the condition, if once is true, that
// its subject is empty, and returns the sequence of the last.
func (b *Store) batch(ctx context.Context, messages []*message, once bool) (uint64, error) {
	id := nuid.Next()
	last := len(messages) - 1
	for i, m := range messages[:last] {
		if err := b.sender.SendUnacknowledged(ctx, toSend(m, batchHeaders(id, i+1, once))); err != nil {
			return 0, err
		}
	}
	seq, err := b.sendAndWait(ctx, messages[last], batchHeaders(id, last+1, once).Set(conn.BatchCommitHeader, "1"))
	if err != nil {
		return 0, err
	}
	if seq < uint64(len(messages)) {
		return 0, fmt.Errorf("JetStream stored a batch of %d up to sequence %d", len(messages), seq)
	}
	return seq, nil
}

// unused is the condition that a message's subject is empty.
var unused = expect(0)

// condition is the condition on a message's subject.
func condition(once bool) job.Header {
	if once {
		return unused
	}
	return nil
}

// batchHeaders returns the headers of the n-th message of a batch.
func batchHeaders(id string, n int, once bool) job.Header {
	h := append(make(job.Header, 0, 160), condition(once)...)
	return h.Set(conn.BatchIDHeader, id).Set(conn.BatchSequenceHeader, strconv.Itoa(n))
}

// taken returns which of the messages' subjects hold a message, by one request for
// the last of each.
func (b *Store) taken(batch []*pending) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), b.opts.Timeout)
	defer cancel()
	subjects := make([]string, 0, len(batch))
	for _, p := range batch {
		subjects = append(subjects, p.msg.subject)
	}
	taken := make(map[string]bool, len(batch))
	err := reader.LastOf(ctx, b.js, conn.JobsStream, subjects, time.Time{}, func(m *nats.Msg) { taken[m.Header.Get(jetstream.SubjectHeader)] = true })
	return taken, err
}
