package publish

import (
	"context"
	"fmt"
	"math"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// look finds out which records of this lane stand at the hub on subjects where any number
// may: after a crash, or a line that was cut before the answer came. It reads on from the
// place where all was known; the first time of all it reads everything.
func (l *lane) look(ctx context.Context) error {
	there := map[string]bool{}
	at := l.reached()
	attempts := []string{"attempts.*." + job.Duplicate, "attempts.*." + job.Late}
	if l.name == AttemptsStream {
		attempts = []string{l.subject}
	} else if err := l.lookAt(ctx, JobsStream, at.Hub, []string{job.Subject("*", "", job.Unrecognised)}, there); err != nil {
		return err
	}
	if err := l.lookAt(ctx, AttemptsStream, at.Attempts, attempts, there); err != nil {
		return err
	}
	l.there = there
	return nil
}

func (l *lane) lookAt(ctx context.Context, stream string, after uint64, subjects []string, there map[string]bool) error {
	last, err := l.hub.LastSequence(ctx, stream)
	if err != nil {
		return err
	}
	cfg := jetstream.OrderedConsumerConfig{OptStartSeq: after + 1, FilterSubjects: subjects, HeadersOnly: true}
	err = scan(ctx, l.hub.js, stream, cfg, last, func(m Message) error {
		if e, marked, err := job.ParseEdge(m.Header); err == nil && marked && e.Store == l.origin.Store {
			there[e.ID()] = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking at the hub for what was sent before: %w", err)
	}
	return nil
}

// heads calls yield with what stands on a subject of JOBS at the hub, without the bodies.
func (l *lane) heads(ctx context.Context, subject string, yield func(*jetstream.RawStreamMsg)) error {
	cfg := jetstream.OrderedConsumerConfig{OptStartSeq: 1, FilterSubjects: []string{subject}, HeadersOnly: true}
	err := scan(ctx, l.hub.js, JobsStream, cfg, math.MaxUint64, func(m Message) error {
		yield(&jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Sequence, Time: m.Time, Header: m.Header})
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: looking at the hub for what is on %s: %v", ErrUnavailable, subject, err)
	}
	return nil
}

// lastHead returns the last message on a subject of JOBS at the hub, without its body; nil
// if there is none.
func (l *lane) lastHead(ctx context.Context, subject string) (last *jetstream.RawStreamMsg, err error) {
	err = l.heads(ctx, subject, func(m *jetstream.RawStreamMsg) { last = m })
	return last, err
}
