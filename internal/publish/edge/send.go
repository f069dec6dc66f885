package edge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
	"receiver/internal/publish/sender"
)

// send sends records to the hub, in order, and writes the position.
func (s *streamForwarder) send(ctx context.Context, records []*record) error {
	if s.uncertain(records[0]) && s.known == nil {
		if err := s.findSent(ctx); err != nil {
			return err
		}
	}
	s.lastSent = max(s.lastSent, records[len(records)-1].raw.Sequence)
	defer s.writePosition()
	if s.name == conn.AttemptsStream {
		return s.sendAttempts(ctx, records)
	}
	return s.sendEvents(ctx, records)
}

// sendEvents sends as many records at once as fit in one batch of JetStream, which keeps their
// order in any case, and the others one by one.
func (s *streamForwarder) sendEvents(ctx context.Context, records []*record) error {
	for len(records) > 0 {
		n := s.batchable(records)
		for _, r := range records[:max(n, 1)] {
			if err := s.moveBody(ctx, r); err != nil {
				return err
			}
		}
		var err error
		if n > 1 {
			err = s.storeBatch(ctx, records[:n])
		} else {
			n, err = 1, s.storeOne(ctx, records[0])
		}
		if err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// batchable returns how many of the first records fit in one batch: each is alone on its subject,
// and none is so large that a slow link would have to send those before it again.
func (s *streamForwarder) batchable(records []*record) int {
	if s.single {
		return 1
	}
	subjects := map[string]bool{}
	for i, r := range records {
		if r.kind == "" || subjects[r.raw.Subject] || len(r.raw.Data) > uploadChunk {
			return i
		}
		subjects[r.raw.Subject] = true
	}
	return len(records)
}

// storeBatch stores a batch, each record on the condition that its subject is empty. If one is not,
// those before and after it are sent without it.
func (s *streamForwarder) storeBatch(ctx context.Context, batch []*record) error {
	last, err := s.hub.batch(ctx, batch)
	switch {
	case err == nil:
		s.count(func(c *counts) { c.sent += uint64(len(batch)) })
		r := batch[len(batch)-1]
		s.acknowledge(r, r.at(last), seen{})
		return nil
	case s.refusesBatches(err):
		s.single = true
		return s.sendEvents(ctx, batch)
	case !sender.Taken(err):
		return err
	}
	return s.storeApart(ctx, batch)
}

func (s *streamForwarder) refusesBatches(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == sender.BatchesDisabled
}

// storeApart stores a batch that was refused because some subjects are not empty: first the records
// that only repeat the events there, then, in order, the others. A record that may be an event of
// its own although its subject is not empty separates those before it from those after.
func (s *streamForwarder) storeApart(ctx context.Context, batch []*record) error {
	standing, err := s.hub.lastOnSubjects(ctx, batch)
	if err != nil {
		return err
	}
	for len(batch) > 0 {
		var repeated, free []*record
		n := 0
		for _, r := range batch {
			known := standing[r.raw.Subject]
			if known != nil && !r.isRepeat(known) {
				break
			}
			if n++; known != nil {
				repeated = append(repeated, r)
			} else {
				free = append(free, r)
			}
		}
		// A replica of the hub may not know yet what its leader refused: then they go one by one.
		if n == 0 || len(standing) == 0 {
			n, err = 1, s.storeOne(ctx, batch[0])
		} else {
			err = s.storeMixed(ctx, batch[n-1], repeated, free, standing)
		}
		if err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// storeMixed records what repeats, stores what is new, and acknowledges both, up to last.
func (s *streamForwarder) storeMixed(ctx context.Context, last *record, repeated, free []*record, standing map[string]*jetstream.RawStreamMsg) error {
	var known seen
	for _, r := range repeated {
		if m := standing[r.raw.Subject]; r.ours(m) {
			known = known.or(seenAt(m))
		}
	}
	published, err := s.recordRepeats(ctx, repeated, standing)
	if err == nil && len(free) > 0 {
		err = s.storeBatch(ctx, free)
	}
	if err != nil {
		return err
	}
	s.acknowledge(last, known, published)
	return nil
}

// lastOnSubjects returns the last message on the subject of each record, where there is one, by one
// request.
func (h *hub) lastOnSubjects(ctx context.Context, records []*record) (map[string]*jetstream.RawStreamMsg, error) {
	ctx, cancel := h.bound(ctx)
	defer cancel()
	subjects := make([]string, 0, len(records))
	for _, r := range records {
		subjects = append(subjects, r.raw.Subject)
	}
	standing := map[string]*jetstream.RawStreamMsg{}
	err := reader.LastOf(ctx, h.js, conn.JobsStream, subjects, time.Time{}, func(m *nats.Msg) {
		subject := m.Header.Get(jetstream.SubjectHeader)
		sequence, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return // no message of a stream
		}
		standing[subject] = &jetstream.RawStreamMsg{Subject: subject, Sequence: sequence, Header: m.Header}
	})
	if err != nil {
		return nil, fmt.Errorf("%w: reading the last messages of the subjects at the hub: %v", conn.ErrUnavailable, err)
	}
	return standing, nil
}

// sendAttempts stores all at once, each once.
func (s *streamForwarder) sendAttempts(ctx context.Context, records []*record) error {
	bounded, cancel := s.bound(ctx, singleBody(records))
	defer cancel()
	var waiting []pendingAck
	for _, r := range records {
		if s.uncertain(r) && s.known[r.origin.ID()] {
			continue
		}
		sent, err := s.sendAttempt(bounded, r, r.msg)
		if err != nil {
			return err
		}
		waiting = append(waiting, sent)
	}
	last, err := lastStored(bounded, waiting)
	if err != nil {
		return err
	}
	s.count(func(c *counts) { c.sent += uint64(len(waiting)) })
	s.acknowledge(records[len(records)-1], last, last)
	return nil
}

// pendingAck is a future acknowledgement of a record.
type pendingAck struct {
	*record
	sent jetstream.PubAckFuture
}

// sendAttempt sends a message to ATTEMPTS, without its body if that is too large there.
func (s *streamForwarder) sendAttempt(ctx context.Context, r *record, msg *nats.Msg) (pendingAck, error) {
	if !s.hub.fits(s.hub.attempts, msg) {
		msg.Data = nil
	}
	sent, err := s.hub.send(ctx, msg, header{nats.MsgIdHdr, r.origin.ID()})
	return pendingAck{r, sent}, err
}

// lastStored waits for all and returns the last message that was stored.
func lastStored(ctx context.Context, waiting []pendingAck) (last seen, err error) {
	for _, a := range waiting {
		ack, err := sender.Wait(ctx, a.sent)
		if err != nil {
			return seen{}, err
		}
		last = last.or(a.at(ack.Sequence))
	}
	return last, nil
}
