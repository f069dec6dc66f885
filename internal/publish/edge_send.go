package publish

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// send settles records at the hub, in order, and writes down how far it has come.
func (l *lane) send(ctx context.Context, records []*record) error {
	if l.unsure(records[0]) && l.there == nil {
		if err := l.look(ctx); err != nil {
			return err
		}
	}
	l.tried = max(l.tried, records[len(records)-1].raw.Sequence)
	defer l.remember()
	if l.name == AttemptsStream {
		return l.sendAttempts(ctx, records)
	}
	return l.sendEvents(ctx, records)
}

// sendEvents stores as many at once as may stand in one batch of JetStream, which keeps
// their order whatever happens, and the others one by one.
func (l *lane) sendEvents(ctx context.Context, records []*record) error {
	for len(records) > 0 {
		n := l.alike(records)
		for _, r := range records[:max(n, 1)] {
			if err := l.carry(ctx, r); err != nil {
				return err
			}
		}
		var err error
		if n > 1 {
			err = l.together(ctx, records[:n])
		} else {
			n, err = 1, l.one(ctx, records[0])
		}
		if err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// alike returns how many of the first records go together: each is alone on its subject, and
// none is so large that a slow line would have it sent in vain with those before it.
func (l *lane) alike(records []*record) int {
	if l.single {
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

// together stores a batch, each on the condition that its subject is empty. Where one is
// not, those before and after it go without it.
func (l *lane) together(ctx context.Context, batch []*record) error {
	last, err := l.batch(ctx, batch)
	switch {
	case err == nil:
		l.count(func(c *counts) { c.sent += uint64(len(batch)) })
		r := batch[len(batch)-1]
		l.settled(r, r.at(last), seen{})
		return nil
	case l.refusesBatches(err):
		l.single = true
		return l.sendEvents(ctx, batch)
	case !isTaken(err):
		return err
	}
	return l.apart(ctx, batch)
}

func (l *lane) refusesBatches(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == errBatchesDisabled
}

// apart settles a batch that was refused because some subjects are taken: first what only
// repeats what stands there, then, in order, the others. What may be an event of its own
// though its subject is taken parts those before it from those after.
func (l *lane) apart(ctx context.Context, batch []*record) error {
	standing, err := l.hub.standing(ctx, batch)
	if err != nil {
		return err
	}
	for len(batch) > 0 {
		var repeated, free []*record
		n := 0
		for _, r := range batch {
			there := standing[r.raw.Subject]
			if there != nil && !r.isRepeat(there) {
				break
			}
			if n++; there != nil {
				repeated = append(repeated, r)
			} else {
				free = append(free, r)
			}
		}
		// A replica of the hub may not know yet what its leader refused: one by one then.
		if n == 0 || len(standing) == 0 {
			n, err = 1, l.one(ctx, batch[0])
		} else {
			err = l.mixed(ctx, batch[n-1], repeated, free, standing)
		}
		if err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// mixed settles what repeats and what is new, up to last.
func (l *lane) mixed(ctx context.Context, last *record, repeated, free []*record, standing map[string]*jetstream.RawStreamMsg) error {
	var there seen
	for _, r := range repeated {
		if m := standing[r.raw.Subject]; r.ours(m) {
			there = there.or(seenAt(m))
		}
	}
	told, err := l.repeats(ctx, repeated, standing)
	if err == nil && len(free) > 0 {
		err = l.together(ctx, free)
	}
	if err != nil {
		return err
	}
	l.settled(last, there, told)
	return nil
}

// standing returns the last message on the subject of each record, where there is one, by
// one request.
func (b *Bus) standing(ctx context.Context, records []*record) (map[string]*jetstream.RawStreamMsg, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subjects := make([]string, 0, len(records))
	for _, r := range records {
		subjects = append(subjects, r.raw.Subject)
	}
	standing := map[string]*jetstream.RawStreamMsg{}
	err := b.lastOf(ctx, subjects, func(m *nats.Msg) {
		subject := m.Header.Get(jetstream.SubjectHeader)
		sequence, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return // no message of a stream
		}
		standing[subject] = &jetstream.RawStreamMsg{Subject: subject, Sequence: sequence, Header: m.Header}
	})
	if err != nil {
		return nil, fmt.Errorf("%w: asking the hub what stands on its subjects: %v", ErrUnavailable, err)
	}
	return standing, nil
}

// batch stores records whole or not at all, and returns the last one's sequence.
func (l *lane) batch(ctx context.Context, batch []*record) (uint64, error) {
	ctx, cancel := l.hub.bound(ctx)
	defer cancel()
	messages := make([]*message, len(batch))
	for i, r := range batch {
		messages[i] = messageOf(r.msg)
	}
	return l.hub.batch(ctx, messages, true)
}

// sendAttempts stores all at once, each once.
func (l *lane) sendAttempts(ctx context.Context, records []*record) error {
	bounded, cancel := l.bound(ctx, alone(records))
	defer cancel()
	var waiting []promised
	for _, r := range records {
		if l.unsure(r) && l.there[r.origin.ID()] {
			continue
		}
		if !l.hub.fits(l.hub.attempts, messageOf(r.msg)) {
			r.msg.Data = nil // as an attempt is that is too large here
		}
		sent, err := l.hub.send(bounded, messageOf(r.msg), header{nats.MsgIdHdr, r.origin.ID()})
		if err != nil {
			return err
		}
		waiting = append(waiting, promised{r, sent})
	}
	last, err := lastStored(bounded, waiting)
	if err != nil {
		return err
	}
	l.count(func(c *counts) { c.sent += uint64(len(waiting)) })
	l.settled(records[len(records)-1], last, last)
	return nil
}

// promised is an acknowledgement to come, for a record.
type promised struct {
	*record
	future
}

// lastStored waits for all and returns the last message that was stored.
func lastStored(ctx context.Context, waiting []promised) (last seen, err error) {
	for _, a := range waiting {
		ack, err := a.wait(ctx)
		if err != nil {
			return seen{}, err
		}
		last = last.or(a.at(ack.Sequence))
	}
	return last, nil
}
