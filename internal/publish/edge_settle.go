package publish

import (
	"context"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// one settles a record that is not stored in a batch.
func (l *lane) one(ctx context.Context, r *record) error {
	var (
		hub   uint64
		there *jetstream.RawStreamMsg
		err   error
	)
	switch r.kind {
	case "":
		hub, there, err = l.appendOnce(ctx, r)
	case job.Progress, job.Conflict:
		hub, there, err = l.distinct(ctx, r.msg)
	default:
		hub, there, err = l.once(ctx, r)
	}
	if err != nil {
		return err
	}
	if there == nil {
		l.count(func(c *counts) { c.sent++ })
		l.settled(r, r.at(hub), seen{})
		return nil
	}
	return l.repeated(ctx, r, there)
}

// once stores a record if nothing is on its subject, and else returns what is. A large one
// that may be there already is asked for before: on a slow line it costs more than that.
func (l *lane) once(ctx context.Context, r *record) (uint64, *jetstream.RawStreamMsg, error) {
	if l.unsure(r) && len(r.msg.Data) > recordRoom {
		if there, err := l.lastHead(ctx, r.msg.Subject); err != nil || there != nil {
			return 0, there, err
		}
	}
	ack, err := l.put(ctx, messageOf(r.msg), expect(0))
	if !isTaken(err) {
		return sequence(ack), nil, err
	}
	patience, cancel := l.bound(ctx, 0)
	defer cancel()
	for {
		there, err := l.lastHead(ctx, r.msg.Subject)
		if err != nil || there != nil {
			return 0, there, err
		}
		if err := pause(patience, lagPause); err != nil {
			return 0, nil, fmt.Errorf("%w: reading %s at the hub: %v", ErrUnavailable, r.msg.Subject, err)
		}
	}
}

// put stores a message at the hub. A large one has longer.
func (l *lane) put(ctx context.Context, msg *message, more header) (*jetstream.PubAck, error) {
	ctx, cancel := l.bound(ctx, len(msg.data))
	defer cancel()
	return l.hub.publish(ctx, msg, more)
}

// distinct stores one event for each id on a subject, and else returns the one of this id.
// Mostly there is none on the subject; only a large one asks before.
func (l *lane) distinct(ctx context.Context, msg *nats.Msg) (uint64, *jetstream.RawStreamMsg, error) {
	id := msg.Header.Get("ce-id")
	patience, cancel := l.bound(ctx, len(msg.Data))
	defer cancel()
	var last uint64
	for ask := len(msg.Data) > recordRoom; ; ask = true {
		if ask {
			var there *jetstream.RawStreamMsg
			err := l.heads(ctx, msg.Subject, func(m *jetstream.RawStreamMsg) {
				if last = m.Sequence; m.Header.Get("ce-id") == id {
					there = m
				}
			})
			if err != nil || there != nil {
				return 0, there, err
			}
		}
		ack, err := l.put(ctx, messageOf(msg), expect(last))
		if !isTaken(err) {
			return sequence(ack), nil, err
		}
		if err := pause(patience, lagPause); err != nil {
			return 0, nil, fmt.Errorf("%w: others publish on %s: %v", ErrUnavailable, msg.Subject, err)
		}
	}
}

// appendOnce stores what is not unique by its subject: what earlier versions stored of
// unrecognised bodies, and messages of others. If it was stored before, by this record or,
// within two minutes, by another, what stands at the hub is returned.
func (l *lane) appendOnce(ctx context.Context, r *record) (uint64, *jetstream.RawStreamMsg, error) {
	if l.unsure(r) && l.there[r.origin.ID()] {
		return 0, &jetstream.RawStreamMsg{Header: r.msg.Header}, nil
	}
	id := r.origin.ID()
	if source, _, _, err := job.ParseSubject(r.raw.Subject); err == nil {
		id = source + "." + r.msg.Header.Get("ce-id") // as those versions did
	}
	ack, err := l.put(ctx, messageOf(r.msg), header{nats.MsgIdHdr, id})
	if err != nil || !ack.Duplicate {
		return sequence(ack), nil, err
	}
	ctx, cancel := l.bound(ctx, len(r.msg.Data))
	defer cancel()
	raw, err := firstOf(ctx, l.hub.js, l.hub.jobs, ack.Sequence, r.raw.Subject)
	if err == nil && raw == nil {
		err = jetstream.ErrMsgNotFound
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%w: reading sequence %d at the hub: %v", ErrUnavailable, ack.Sequence, err)
	}
	return 0, raw, nil
}

func sequence(ack *jetstream.PubAck) uint64 {
	if ack == nil {
		return 0
	}
	return ack.Sequence
}

// repeated settles a record whose event the hub has already: by this record itself, by
// another way, or with another end.
func (l *lane) repeated(ctx context.Context, r *record, there *jetstream.RawStreamMsg) error {
	if r.ours(there) {
		l.settled(r, seenAt(there), seen{})
		return nil
	}
	if conflict := r.conflict(there); conflict != nil {
		hub, other, err := l.distinct(ctx, conflict)
		if err != nil {
			return err
		}
		if other == nil || r.ours(other) {
			l.count(func(c *counts) { c.sent++ })
			l.settled(r, r.at(hub), seen{})
			return nil
		}
		there = other
	}
	told, err := l.repeats(ctx, []*record{r}, map[string]*jetstream.RawStreamMsg{r.raw.Subject: there})
	if err != nil {
		return err
	}
	l.settled(r, seenAt(there), told)
	return nil
}

// conflict returns a finished event as the other word that it is at the hub, with its body
// and what proves it as they are; nil if it tells what the hub knows.
func (r *record) conflict(there *jetstream.RawStreamMsg) *nats.Msg {
	if r.kind != job.Finished {
		return nil
	}
	e, err := job.ParseEvent(r.raw.Subject, r.raw.Header, nil)
	if err != nil {
		return nil
	}
	first, err := job.ParseEvent(there.Subject, there.Header, nil)
	if err != nil || first.Job.SameOutcome(e.Job) {
		return nil
	}
	e.Kind = job.Conflict
	header := maps.Clone(r.msg.Header)
	header["ce-type"], header["ce-id"] = []string{job.TypePrefix + string(e.Kind)}, []string{e.ID()}
	delete(header, "ce-filesuntil")
	return &nats.Msg{Subject: e.Subject(), Header: header, Data: r.msg.Data}
}

// repeat returns the attempt that keeps what a callback told that the hub had by another way,
// as the hub would have if it had received it; nil if there is none: what no callback told
// is no evidence that could be lost, and what has lost its body is none.
func (l *lane) repeat(ctx context.Context, r *record, there *jetstream.RawStreamMsg) (*nats.Msg, error) {
	e, err := job.ParseEvent(r.raw.Subject, r.raw.Header, nil)
	if err != nil || e.Receipt == nil || l.unsure(r) && l.there[r.origin.ID()] {
		return nil, nil //nolint:nilerr // a message that is no event of ours has no callback
	}
	body, lost, err := l.body(ctx, r)
	if err != nil || lost {
		return nil, err
	}
	verdict := job.Duplicate
	if by := job.Evidence(there.Header.Get("ce-evidence")); by == job.ByPoll || by == job.ByVendorQueue {
		verdict = job.Late
	}
	msg := &nats.Msg{Data: body}
	msg.Subject, msg.Header = e.Repeated(verdict, there.Header.Get("ce-id"), r.raw.Header, body)
	if !l.hub.fits(l.hub.attempts, messageOf(msg)) {
		msg.Data = nil // as an attempt is that is too large here
	}
	r.origin.Mark(msg.Header)
	return msg, nil
}

// repeats settles records that the hub had already, each with what stands there; what is to
// be kept of them goes at once. It returns the last message in ATTEMPTS.
func (l *lane) repeats(ctx context.Context, records []*record, standing map[string]*jetstream.RawStreamMsg) (told seen, err error) {
	ctx, cancel := l.bound(ctx, alone(records))
	defer cancel()
	var waiting []promised
	for _, r := range records {
		there := standing[r.raw.Subject]
		if r.ours(there) {
			continue
		}
		msg, err := l.repeat(ctx, r, there)
		if err != nil {
			return told, err
		}
		if msg != nil {
			sent, err := l.hub.send(ctx, messageOf(msg), header{nats.MsgIdHdr, r.origin.ID()})
			if err != nil {
				return told, err
			}
			waiting = append(waiting, promised{r, sent})
		}
		if r.object != "" && there.Header.Get(dataRef) != dataRefPrefix+r.object {
			l.uncarry(ctx, r)
		}
		l.count(func(c *counts) { c.repeated++ })
	}
	if told, err = lastStored(ctx, waiting); err != nil {
		return told, fmt.Errorf("recording at the hub what it had already: %w", err)
	}
	return told, nil
}

// isRepeat reports whether what stands on the record's subject tells the same.
func (r *record) isRepeat(there *jetstream.RawStreamMsg) bool {
	switch {
	case there == nil:
		return false
	case r.ours(there):
		return true
	case r.kind == job.Progress || r.kind == job.Conflict:
		return there.Header.Get("ce-id") == r.msg.Header.Get("ce-id")
	}
	return r.conflict(there) == nil
}
