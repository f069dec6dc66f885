package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// How events are gathered. With an fsync before every acknowledgement JetStream pays
// one for each message, but about four for a whole atomic batch; so a batch is worth
// its cost from minBatch messages on. The figures were measured; see
// docs/performance.md, "Group commit".
const (
	committers    = 2
	minBatch      = 6
	maxBatch      = 256     // the server's limit is 1,000
	maxBatchBytes = 4 << 20 // what a batch may hold, so that it stays quick
)

// gatherer stores messages that come at the same time as one atomic batch of
// JetStream (NATS ADR-50), each still on the condition that its subject is empty. A
// message that comes alone is published at once: nobody waits for company, only for
// a committer to have its hands free.
type gatherer struct {
	bus     *Bus
	waiting chan *pending
	quit    chan struct{}
	stopped sync.Once
	wg      sync.WaitGroup
	single  atomic.Bool // the server or the stream takes no batches
}

// pending is a message that waits to be stored, and the caller who waits for it.
type pending struct {
	ctx  context.Context
	msg  *nats.Msg
	done chan outcome // of room for one
}

type outcome struct {
	seq uint64
	err error
}

func startGatherer(b *Bus, allowed bool) *gatherer {
	g := &gatherer{bus: b, waiting: make(chan *pending, maxBatch), quit: make(chan struct{})}
	g.single.Store(!allowed)
	for range committers {
		g.wg.Go(g.commitAll)
	}
	return g
}

// stop ends the committers. No call of publish may be under way or follow.
func (g *gatherer) stop() {
	g.stopped.Do(func() { close(g.quit) })
	g.wg.Wait()
}

// publish stores msg if nothing is on its subject and returns its sequence. The error
// is as JetStream gave it, or ErrUnavailable.
func (g *gatherer) publish(ctx context.Context, msg *nats.Msg) (uint64, error) {
	if g.single.Load() {
		return g.bus.publishAlone(ctx, msg)
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

// publishAlone stores msg if nothing is on its subject and returns its sequence.
func (b *Bus) publishAlone(ctx context.Context, msg *nats.Msg) (uint64, error) {
	ack, err := b.publish(ctx, msg, jetstream.WithExpectLastSequencePerSubject(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

func (g *gatherer) commitAll() {
	batch := make([]*pending, 0, maxBatch)
	for {
		select {
		case first := <-g.waiting:
			batch = g.gather(append(batch[:0], first))
			g.commit(batch)
		case <-g.quit:
			return
		}
	}
}

// gather adds what waits already, and waits for nothing.
func (g *gatherer) gather(batch []*pending) []*pending {
	size := len(batch[0].msg.Data)
	for len(batch) < maxBatch && size < maxBatchBytes {
		select {
		case p := <-g.waiting:
			batch = append(batch, p)
			size += len(p.msg.Data)
		default:
			return batch
		}
	}
	return batch
}

func (g *gatherer) commit(batch []*pending) {
	if len(batch) < minBatch {
		g.each(batch)
		return
	}
	err := g.together(batch)
	switch {
	case err == nil:
		return
	case isTaken(err):
		g.split(batch)
	default:
		g.refused(err)
		g.each(batch)
	}
}

// refused notes that the server does not take batches at all, if that is what it says.
func (g *gatherer) refused(err error) {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == errBatchesDisabled && !g.single.Swap(true) {
		g.bus.opts.Log.Warn().Err(err).Msg("the stream takes no atomic batches: events are stored one by one")
	}
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
		case taken[p.msg.Subject]:
			p.done <- outcome{err: errTaken}
		default:
			taken[p.msg.Subject] = true // a second one in this batch is too late
			free = append(free, p)
		}
	}
	if len(free) < minBatch || g.together(free) != nil {
		g.each(free)
	}
}

// errTaken is what JetStream answers to a message whose subject is not empty.
var errTaken = &jetstream.APIError{Code: 400, ErrorCode: errWrongLastSequence, Description: "wrong last sequence"}

// each publishes messages one by one, all under way at once.
func (g *gatherer) each(batch []*pending) {
	if len(batch) == 0 { // all were duplicates
		return
	}
	var wg sync.WaitGroup
	for _, p := range batch[1:] {
		wg.Go(func() { g.one(p) })
	}
	g.one(batch[0])
	wg.Wait()
}

func (g *gatherer) one(p *pending) {
	seq, err := g.bus.publishAlone(p.ctx, p.msg)
	p.done <- outcome{seq, err}
}

// together stores a batch whole or not at all; on success every caller has its answer.
func (g *gatherer) together(batch []*pending) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.bus.opts.Timeout)
	defer cancel()
	id := nuid.Next()
	last := len(batch) - 1
	for i, p := range batch[:last] {
		if err := g.bus.nc.PublishMsg(member(p.msg, id, i+1)); err != nil {
			return err
		}
	}
	commit := member(batch[last].msg, id, last+1)
	commit.Header.Set("Nats-Batch-Commit", "1")
	answer, err := g.bus.nc.RequestMsgWithContext(ctx, commit)
	if err != nil {
		return err
	}
	first, err := firstSequence(answer.Data, len(batch))
	if err != nil {
		return err
	}
	for i, p := range batch {
		p.done <- outcome{seq: first + uint64(i)}
	}
	return nil
}

// member returns a message as the n-th of a batch. The headers are copied: a batch
// that is refused leaves the messages to be published otherwise.
func member(msg *nats.Msg, id string, n int) *nats.Msg {
	header := make(nats.Header, len(msg.Header)+4)
	for k, v := range msg.Header {
		header[k] = v
	}
	header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	header.Set("Nats-Batch-Id", id)
	header.Set("Nats-Batch-Sequence", strconv.Itoa(n))
	return &nats.Msg{Subject: msg.Subject, Header: header, Data: msg.Data}
}

// firstSequence reads the answer to a commit: the sequence of the first of n messages.
func firstSequence(answer []byte, n int) (uint64, error) {
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Sequence uint64              `json:"seq"`
		Count    int                 `json:"count"`
	}
	if err := json.Unmarshal(answer, &ack); err != nil {
		return 0, fmt.Errorf("reading the answer to a batch: %w", err)
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	if ack.Count != n || ack.Sequence < uint64(n) {
		return 0, fmt.Errorf("JetStream stored %d messages of a batch of %d", ack.Count, n)
	}
	return ack.Sequence - uint64(n) + 1, nil
}

// taken returns which of the messages' subjects hold a message, by one request for
// the last of each.
func (b *Bus) taken(batch []*pending) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), b.opts.Timeout)
	defer cancel()
	subjects := make([]string, 0, len(batch))
	for _, p := range batch {
		subjects = append(subjects, p.msg.Subject)
	}
	taken := make(map[string]bool, len(batch))
	err := b.lastOf(ctx, subjects, func(m *nats.Msg) { taken[m.Header.Get(jetstream.SubjectHeader)] = true })
	return taken, err
}
