package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
	"receiver/internal/publish/reader"
	"receiver/internal/publish/sender"
)

// PutDelivery stores the record of a delivery, acknowledged, in place of the one with its sequence;
// zero means that there must be none. It returns the new sequence. It reports false, and stores
// nothing, if another one is there. The error is ErrUnavailable.
func (b *Store) PutDelivery(ctx context.Context, d job.Delivery) (sequence uint64, stored bool, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	data, err := d.Data()
	if err != nil {
		return 0, false, err
	}
	sequence, err = b.sendAndWait(ctx, &message{subject: d.Subject(), data: data}, expect(d.Sequence))
	if sender.Taken(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("storing a delivery on %s: %w", d.Subject(), err)
	}
	return sequence, true, nil
}

// RemoveDelivery removes the record with the sequence of d. It reports false if it is not there:
// another one took its place. The error is ErrUnavailable.
func (b *Store) RemoveDelivery(ctx context.Context, d job.Delivery) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, conn.SinksStream)
	if err == nil {
		err = s.DeleteMsg(ctx, d.Sequence)
	}
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // the server says so for whatever reason
		if _, read := s.GetMsg(ctx, d.Sequence); errors.Is(read, jetstream.ErrMsgNotFound) {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("%w: removing a delivery on %s: %v", conn.ErrUnavailable, d.Subject(), err)
	}
	return true, nil
}

// Deliveries yields the records on a subject of SINKS, which may hold wildcards, that were stored
// after a sequence, oldest first. None is left out because it is replaced at the same time: then it
// comes again. A message that this program did not write is an error, and the last.
func (b *Store) Deliveries(ctx context.Context, subject string, after uint64) iter.Seq2[job.Delivery, error] {
	return func(yield func(job.Delivery, error) bool) {
		each := func(raw *jetstream.RawStreamMsg) error {
			d, err := job.ParseDelivery(raw.Subject, raw.Data)
			d.Sequence = raw.Sequence
			if err == nil && !yield(d, nil) {
				err = errEnough
			}
			return err
		}
		for next := after + 1; ; {
			last, err := b.SinkChanges(ctx)
			if err == nil && last >= next {
				err = reader.Scan(ctx, b.js, conn.SinksStream, reader.From{Sequence: next, Subjects: []string{subject}}, last, each)
			}
			switch {
			case errors.Is(err, errEnough):
				return
			case err != nil:
				yield(job.Delivery{}, fmt.Errorf("reading stream %s: %w", conn.SinksStream, err))
				return
			case last < next:
				return
			}
			next = last + 1
		}
	}
}

// SinkChanges returns the sequence of the newest record of deliveries. While it stays the same, no
// record was stored.
func (b *Store) SinkChanges(ctx context.Context) (uint64, error) {
	return b.LastSequence(ctx, conn.SinksStream)
}

// ForgetDeliveries removes the records of what was given up and is not in JOBS any more.
func (b *Store) ForgetDeliveries(ctx context.Context, sink string) error {
	held, err := b.Extent(ctx, conn.JobsStream)
	if err != nil {
		return err
	}
	for d, err := range b.Deliveries(ctx, job.SinkPattern(sink, true, ">"), 0) {
		if err == nil && d.Next < held.First {
			_, err = b.RemoveDelivery(ctx, d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Backlog returns what a sink has not accepted yet. The error is ErrUnavailable.
func (b *Store) Backlog(ctx context.Context, sink string) (l job.Backlog, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	p, err := b.Durable(ctx, durables.SinkConsumer(sink))
	if err != nil && !errors.Is(err, durables.ErrNoDurable) {
		return l, fmt.Errorf("%w: %v", conn.ErrUnavailable, err)
	}
	l.Pending = p.Pending + uint64(max(p.Unacknowledged, 0))
	l.Retrying, err = b.subjects(ctx, job.SinkPattern(sink, false, ">"))
	if err == nil {
		l.GivenUp, err = b.subjects(ctx, job.SinkPattern(sink, true, ">"))
	}
	return l, err
}

// subjects counts the subjects of SINKS that a pattern means.
func (b *Store) subjects(ctx context.Context, pattern string) (int, error) {
	s, err := b.js.Stream(ctx, conn.SinksStream)
	var info *jetstream.StreamInfo
	if err == nil {
		info, err = s.Info(ctx, jetstream.WithSubjectFilter(pattern))
	}
	if err != nil {
		return 0, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, conn.SinksStream, err)
	}
	return len(info.State.Subjects), nil
}

// EventFrom returns the first event on a subject, which may hold wildcards, from a sequence on,
// and whether there is one. A body in the object store is fetched, and the reference to it is taken
// off the header, unless the body is lost. The error is ErrUnavailable.
func (b *Store) EventFrom(ctx context.Context, subject string, from uint64) (job.Wire, bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	raw, err := reader.AskLeader(ctx, b.js, conn.JobsStream, reader.Ask{Seq: from, Next: subject})
	if err != nil {
		return job.Wire{}, false, fmt.Errorf("%w: reading %s: %v", conn.ErrUnavailable, subject, err)
	}
	if raw == nil {
		return job.Wire{}, false, nil
	}
	data, lost, err := b.storedBody(ctx, raw.Header, raw.Data)
	if err != nil {
		return job.Wire{}, false, err
	}
	if Refers(raw.Header) && !lost {
		raw.Header.Del(job.HeaderDataRef)
	}
	return job.Wire{Subject: raw.Subject, Sequence: raw.Sequence, Header: raw.Header, Data: data}, true, nil
}
