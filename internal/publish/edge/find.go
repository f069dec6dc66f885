package edge

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// findSent finds which records of this stream are at the hub on subjects that take any number of
// messages: after a crash, or if the link went down before the answer. It reads from the position
// up to which all was known; the first time it reads everything.
func (s *streamForwarder) findSent(ctx context.Context) error {
	known := map[string]bool{}
	at := s.position()
	attempts := []string{job.AttemptPattern(job.Duplicate), job.AttemptPattern(job.Late)}
	if s.name == conn.AttemptsStream {
		attempts = []string{s.subject}
	}
	found, err := s.findIn(ctx, conn.AttemptsStream, at.Attempts, attempts, known)
	if err != nil {
		return err
	}
	published := found
	if s.name == conn.JobsStream {
		found, err = s.findIn(ctx, conn.JobsStream, at.Hub, []string{job.Subject("*", "", job.Unrecognised)}, known)
		if err != nil {
			return err
		}
	}
	s.set(func(at *position) { at.Known, at.Published = at.Known.or(found), at.Published.or(published) })
	s.known = known
	return nil
}

// findIn adds what it finds in a stream to known, and returns the last of it.
func (s *streamForwarder) findIn(ctx context.Context, stream string, after uint64, subjects []string, known map[string]bool) (found seen, err error) {
	asking, cancel := s.hub.bound(ctx)
	last, err := lastSequence(asking, s.hub.js, stream)
	cancel()
	if err != nil {
		return found, err
	}
	from := reader.From{Sequence: after + 1, Subjects: subjects, Bare: true}
	err = reader.Scan(ctx, s.hub.js, stream, from, last, func(m *jetstream.RawStreamMsg) error {
		if e, marked, err := job.ParseEdge(m.Header); err == nil && marked && e.Store == s.origin.Store {
			known[e.ID()], found = true, seen{m.Sequence, e.ID()}
		}
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("searching the hub for records that were forwarded before: %w", err)
	}
	return found, nil
}

// heads calls yield with each message on a subject of JOBS at the hub, without its body.
func (s *streamForwarder) heads(ctx context.Context, subject string, yield func(*jetstream.RawStreamMsg)) error {
	from := reader.From{Subjects: []string{subject}, Bare: true}
	err := reader.Scan(ctx, s.hub.js, conn.JobsStream, from, math.MaxUint64, func(m *jetstream.RawStreamMsg) error {
		yield(m)
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: reading the messages on %s at the hub: %v", conn.ErrUnavailable, subject, err)
	}
	return nil
}

// lastHead returns the last message on a subject of JOBS at the hub, without its body; nil
// if there is none.
func (s *streamForwarder) lastHead(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	return s.peek(ctx, conn.JobsStream, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPolicy, FilterSubject: subject}, reader.Ask{Last: subject})
}

// peek returns the first message of a consumer of the hub, without its body, which would take long
// on a slow link; nil if there is none. If the consumer cannot be created, or another client has
// changed it, the leader is asked for the message.
func (s *streamForwarder) peek(ctx context.Context, stream string, cfg jetstream.ConsumerConfig, ask reader.Ask) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := s.bound(ctx, 0)
	defer cancel()
	cfg.HeadersOnly, cfg.AckPolicy, cfg.MemoryStorage, cfg.Replicas = true, jetstream.AckNonePolicy, true, 1
	cfg.InactiveThreshold = s.f.opts.Timeout
	consumer, err := s.hub.js.CreateConsumer(ctx, stream, cfg)
	if err == nil && consumer.CachedInfo().NumPending == 0 {
		return nil, nil
	}
	var msg jetstream.Msg
	if err == nil {
		msg, err = consumer.Next(jetstream.FetchContext(ctx))
	}
	if err == nil {
		meta, failed := msg.Metadata()
		if err = failed; err == nil && meta.Sequence.Consumer == 1 && (msg.Subject() == ask.Last || meta.Sequence.Stream == ask.Seq) {
			return &jetstream.RawStreamMsg{Subject: msg.Subject(), Sequence: meta.Sequence.Stream, Time: meta.Timestamp, Header: msg.Headers()}, nil
		}
	}
	if ctx.Err() == nil {
		var m *jetstream.RawStreamMsg
		if m, err = reader.AskLeader(ctx, s.hub.js, stream, ask); err == nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: reading stream %s of the hub: %v", conn.ErrUnavailable, stream, err)
}

// check is the state of a stream of the hub when it was read.
type check struct {
	last uint64
	time time.Time // of the last message
	at   time.Time
}

// checkAgain is how often a stream that others write to is read again.
const checkAgain = time.Minute

// checkHub reports whether the hub still has the messages that it is known to have. A hub that was
// restored to an earlier state, or lost its newest messages with the power, does not, although its
// streams are the same.
func (s *streamForwarder) checkHub(ctx context.Context, state jetstream.StreamState) (bool, error) {
	at := s.position()
	same, err := s.holds(ctx, s.name, state, at.Known)
	if err != nil || !same || s.name == conn.AttemptsStream || at.Published.Sequence == 0 {
		return same, err
	}
	attempts, err := s.hub.js.Stream(ctx, conn.AttemptsStream)
	if err != nil {
		return false, fmt.Errorf("%w: asking the hub for stream %s: %v", conn.ErrUnavailable, conn.AttemptsStream, err)
	}
	return s.holds(ctx, conn.AttemptsStream, attempts.CachedInfo().State, at.Published)
}

// holds reports whether a stream of the hub holds a message; a message that was removed since
// counts as held.
func (s *streamForwarder) holds(ctx context.Context, stream string, state jetstream.StreamState, want seen) (bool, error) {
	was := s.checks[stream]
	now := check{last: state.LastSeq, time: state.LastTime, at: time.Now()}
	switch {
	case state.LastSeq < want.Sequence:
		return false, nil
	case want.Record == "" || state.FirstSeq > want.Sequence:
		return true, nil
	case now.last == was.last && now.time.Equal(was.time):
		return true, nil
	case now.last > was.last && now.at.Sub(was.at) < checkAgain:
		return true, nil
	}
	m, err := s.peek(ctx, stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: want.Sequence,
	}, reader.Ask{Seq: want.Sequence, Next: reader.AllSubjects})
	if err != nil {
		return false, err
	}
	if m != nil && m.Sequence == want.Sequence && identity(m.Header) != want.Record {
		return false, nil
	}
	s.checks[stream] = now
	return true, nil
}
