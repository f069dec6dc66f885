package edge

import (
	"context"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
	"receiver/internal/publish/sender"
)

// storeOne stores a record that goes in no batch.
func (s *streamForwarder) storeOne(ctx context.Context, r *record) error {
	var (
		hub   uint64
		known *jetstream.RawStreamMsg
		err   error
	)
	switch r.kind {
	case "":
		hub, known, err = s.appendOnce(ctx, r)
	case job.Progress, job.Conflict:
		hub, known, err = s.storeDistinct(ctx, r.msg)
	default:
		hub, known, err = s.storeOnce(ctx, r)
	}
	if err != nil {
		return err
	}
	if known == nil {
		s.count(func(c *counts) { c.sent++ })
		s.acknowledge(r, r.at(hub), seen{})
		return nil
	}
	return s.resolveRepeat(ctx, r, known)
}

// storeOnce stores a record if its subject is empty, and otherwise returns the message there. A
// large record that may be there already is looked up first: on a slow link that costs less than
// sending it.
func (s *streamForwarder) storeOnce(ctx context.Context, r *record) (uint64, *jetstream.RawStreamMsg, error) {
	if s.uncertain(r) && len(r.msg.Data) > bytesPerRecord {
		if known, err := s.lastHead(ctx, r.msg.Subject); err != nil || known != nil {
			return 0, known, err
		}
	}
	ack, err := s.publish(ctx, r.msg, expect(0))
	if !sender.Taken(err) {
		return sequence(ack), nil, err
	}
	bounded, cancel := s.bound(ctx, 0)
	defer cancel()
	for {
		known, err := s.lastHead(ctx, r.msg.Subject)
		if err != nil || known != nil {
			return 0, known, err
		}
		if err := conn.Sleep(bounded, conn.LagPause); err != nil {
			return 0, nil, fmt.Errorf("%w: reading %s at the hub: %v", conn.ErrUnavailable, r.msg.Subject, err)
		}
	}
}

// publish stores a message at the hub. A large one has a longer timeout.
func (s *streamForwarder) publish(ctx context.Context, msg *nats.Msg, more header) (*jetstream.PubAck, error) {
	ctx, cancel := s.bound(ctx, len(msg.Data))
	defer cancel()
	return s.hub.publish(ctx, msg, more)
}

// storeDistinct stores one event for each id on a subject, or returns the one with this id. Usually
// the subject is empty, so only a large event is looked up first.
func (s *streamForwarder) storeDistinct(ctx context.Context, msg *nats.Msg) (uint64, *jetstream.RawStreamMsg, error) {
	id := msg.Header.Get(job.HeaderID)
	bounded, cancel := s.bound(ctx, len(msg.Data))
	defer cancel()
	var last uint64
	for ask := len(msg.Data) > bytesPerRecord; ; ask = true {
		if ask {
			var known *jetstream.RawStreamMsg
			err := s.heads(ctx, msg.Subject, func(m *jetstream.RawStreamMsg) {
				if last = m.Sequence; m.Header.Get(job.HeaderID) == id {
					known = m
				}
			})
			if err != nil || known != nil {
				return 0, known, err
			}
		}
		ack, err := s.publish(ctx, msg, expect(last))
		if !sender.Taken(err) {
			return sequence(ack), nil, err
		}
		if err := conn.Sleep(bounded, conn.LagPause); err != nil {
			return 0, nil, fmt.Errorf("%w: other clients publish on %s: %v", conn.ErrUnavailable, msg.Subject, err)
		}
	}
}

// appendOnce stores a message whose subject is not unique: those of earlier versions about
// unrecognised bodies, and those of other programs. If it was stored before, by this record or,
// within two minutes, by another, it returns the message at the hub.
func (s *streamForwarder) appendOnce(ctx context.Context, r *record) (uint64, *jetstream.RawStreamMsg, error) {
	if s.uncertain(r) && s.known[r.origin.ID()] {
		return 0, &jetstream.RawStreamMsg{Header: r.msg.Header}, nil
	}
	id := r.origin.ID()
	if source, _, _, err := job.ParseSubject(r.raw.Subject); err == nil {
		id = source + "." + r.msg.Header.Get(job.HeaderID) // as those versions did
	}
	ack, err := s.publish(ctx, r.msg, header{nats.MsgIdHdr, id})
	if err != nil || !ack.Duplicate {
		return sequence(ack), nil, err
	}
	ctx, cancel := s.bound(ctx, len(r.msg.Data))
	defer cancel()
	raw, err := reader.FirstOf(ctx, s.hub.js, s.hub.jobs, ack.Sequence, r.raw.Subject)
	if err == nil && raw == nil {
		err = jetstream.ErrMsgNotFound
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%w: reading sequence %d at the hub: %v", conn.ErrUnavailable, ack.Sequence, err)
	}
	return 0, raw, nil
}

func sequence(ack *jetstream.PubAck) uint64 {
	if ack == nil {
		return 0
	}
	return ack.Sequence
}

// resolveRepeat handles a record whose event the hub has already: from this record, from another
// path, or with another outcome.
func (s *streamForwarder) resolveRepeat(ctx context.Context, r *record, known *jetstream.RawStreamMsg) error {
	if r.ours(known) {
		s.acknowledge(r, seenAt(known), seen{})
		return nil
	}
	if conflict := r.conflict(known); conflict != nil {
		hub, other, err := s.storeDistinct(ctx, conflict)
		if err != nil {
			return err
		}
		if other == nil || r.ours(other) {
			s.count(func(c *counts) { c.sent++ })
			s.acknowledge(r, r.at(hub), seen{})
			return nil
		}
		known = other
	}
	published, err := s.recordRepeats(ctx, []*record{r}, map[string]*jetstream.RawStreamMsg{r.raw.Subject: known})
	if err != nil {
		return err
	}
	s.acknowledge(r, seenAt(known), published)
	return nil
}

// conflict returns a finished event as a conflict, with its body and its evidence unchanged; nil if
// it has the outcome that the hub knows.
func (r *record) conflict(known *jetstream.RawStreamMsg) *nats.Msg {
	if r.kind != job.Finished {
		return nil
	}
	e, err := job.ParseEvent(r.raw.Subject, r.raw.Header, nil)
	if err != nil {
		return nil
	}
	first, err := job.ParseEvent(known.Subject, known.Header, nil)
	if err != nil || first.Job.SameOutcome(e.Job) {
		return nil
	}
	e.Kind = job.Conflict
	header := maps.Clone(r.msg.Header)
	header[job.HeaderType], header[job.HeaderID] = []string{job.TypePrefix + string(e.Kind)}, []string{e.ID()}
	delete(header, job.HeaderFilesUntil)
	return &nats.Msg{Subject: e.Subject(), Header: header, Data: r.msg.Data}
}

// repeatAttempt returns the attempt that records a callback whose event the hub had from another
// path, as if the hub had received it; nil if no callback brought the event, or its body is lost:
// then there is no evidence to keep.
func (s *streamForwarder) repeatAttempt(ctx context.Context, r *record, known *jetstream.RawStreamMsg) (*nats.Msg, error) {
	e, err := job.ParseEvent(r.raw.Subject, r.raw.Header, nil)
	if err != nil || e.Receipt == nil || s.uncertain(r) && s.known[r.origin.ID()] {
		return nil, nil //nolint:nilerr // a message that is no event of ours has no callback
	}
	body, lost, err := s.body(ctx, r)
	if err != nil || lost {
		return nil, err
	}
	verdict := job.Duplicate
	if by := job.Evidence(known.Header.Get(job.HeaderEvidence)); by == job.ByPoll || by == job.ByVendorQueue {
		verdict = job.Late
	}
	msg := &nats.Msg{Data: body}
	msg.Subject, msg.Header = e.Repeated(verdict, known.Header.Get(job.HeaderID), r.raw.Header, body)
	r.origin.Mark(msg.Header)
	return msg, nil
}

// recordRepeats handles records whose events the hub had already, given the messages there; it
// sends their attempts at once. It returns the last message in ATTEMPTS.
func (s *streamForwarder) recordRepeats(ctx context.Context, records []*record, standing map[string]*jetstream.RawStreamMsg) (published seen, err error) {
	ctx, cancel := s.bound(ctx, singleBody(records))
	defer cancel()
	var waiting []pendingAck
	for _, r := range records {
		known := standing[r.raw.Subject]
		if r.ours(known) {
			continue
		}
		msg, err := s.repeatAttempt(ctx, r, known)
		if err != nil {
			return published, err
		}
		if msg != nil {
			sent, err := s.sendAttempt(ctx, r, msg)
			if err != nil {
				return published, err
			}
			waiting = append(waiting, sent)
		}
		if r.object != "" && known.Header.Get(job.HeaderDataRef) != conn.DataRefPrefix+r.object {
			s.removeBody(ctx, r)
		}
		s.count(func(c *counts) { c.repeated++ })
	}
	if published, err = lastStored(ctx, waiting); err != nil {
		return published, fmt.Errorf("recording repeats at the hub: %w", err)
	}
	return published, nil
}

// isRepeat reports whether the message on the record's subject is the same event.
func (r *record) isRepeat(known *jetstream.RawStreamMsg) bool {
	switch {
	case known == nil:
		return false
	case r.ours(known):
		return true
	case r.kind == job.Progress || r.kind == job.Conflict:
		return known.Header.Get(job.HeaderID) == r.msg.Header.Get(job.HeaderID)
	}
	return r.conflict(known) == nil
}
