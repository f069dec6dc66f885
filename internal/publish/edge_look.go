package publish

import (
	"context"
	"fmt"
	"math"
	"time"

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
	}
	found, err := l.lookAt(ctx, AttemptsStream, at.Attempts, attempts, there)
	if err != nil {
		return err
	}
	told := found
	if l.name == JobsStream {
		found, err = l.lookAt(ctx, JobsStream, at.Hub, []string{job.Subject("*", "", job.Unrecognised)}, there)
		if err != nil {
			return err
		}
	}
	l.set(func(at *reached) { at.There, at.Told = at.There.or(found), at.Told.or(told) })
	l.there = there
	return nil
}

// lookAt adds what it finds in a stream to there, and returns the last of it.
func (l *lane) lookAt(ctx context.Context, stream string, after uint64, subjects []string, there map[string]bool) (found seen, err error) {
	last, err := l.hub.LastSequence(ctx, stream)
	if err != nil {
		return found, err
	}
	from := readFrom{Position: Position{Sequence: after + 1}, subjects: subjects, bare: true}
	err = scan(ctx, l.hub.js, stream, from, last, func(m Message) error {
		if e, marked, err := job.ParseEdge(m.Header); err == nil && marked && e.Store == l.origin.Store {
			there[e.ID()], found = true, seen{m.Sequence, e.ID()}
		}
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("looking at the hub for what was sent before: %w", err)
	}
	return found, nil
}

// heads calls yield with what stands on a subject of JOBS at the hub, without the bodies.
func (l *lane) heads(ctx context.Context, subject string, yield func(*jetstream.RawStreamMsg)) error {
	from := readFrom{subjects: []string{subject}, bare: true}
	err := scan(ctx, l.hub.js, JobsStream, from, math.MaxUint64, func(m Message) error {
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
func (l *lane) lastHead(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	return l.peek(ctx, JobsStream, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPolicy, FilterSubject: subject}, leaderAsk{Last: subject})
}

// peek returns the first message of a consumer of the hub, without its body, which would take
// long on a slow line; nil if there is none. Where the consumer cannot be made, or somebody else
// has laid hands on it, the leader is asked for the message.
func (l *lane) peek(ctx context.Context, stream string, cfg jetstream.ConsumerConfig, ask leaderAsk) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := l.bound(ctx, 0)
	defer cancel()
	cfg.HeadersOnly, cfg.AckPolicy, cfg.MemoryStorage, cfg.Replicas = true, jetstream.AckNonePolicy, true, 1
	cfg.InactiveThreshold = l.f.opts.Timeout
	consumer, err := l.hub.js.CreateConsumer(ctx, stream, cfg)
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
		if m, err = askLeader(ctx, l.hub.js, stream, ask); err == nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: looking into stream %s of the hub: %v", ErrUnavailable, stream, err)
}

// sight is how a stream of the hub was when it was looked at.
type sight struct {
	last uint64
	time time.Time // of the last message
	at   time.Time
}

// lookAgain is how often a stream is looked at again that others go on writing to.
const lookAgain = time.Minute

// has reports whether the hub still has what it is known to have. One that was put back to
// an earlier state, or lost its end with the power, does not, though it says that its streams
// are those that they were.
func (l *lane) has(ctx context.Context, state jetstream.StreamState) (bool, error) {
	at := l.reached()
	if l.name == AttemptsStream || at.Told.Sequence == 0 {
		return l.stands(ctx, l.name, state, at.There)
	}
	if same, err := l.stands(ctx, l.name, state, at.There); err != nil || !same {
		return same, err
	}
	attempts, err := l.hub.js.Stream(ctx, AttemptsStream)
	if err != nil {
		return false, fmt.Errorf("%w: asking the hub for stream %s: %v", ErrUnavailable, AttemptsStream, err)
	}
	return l.stands(ctx, AttemptsStream, attempts.CachedInfo().State, at.Told)
}

// stands reports whether a message stands in a stream of the hub; one that was removed since
// counts as if it did.
func (l *lane) stands(ctx context.Context, stream string, state jetstream.StreamState, want seen) (bool, error) {
	was := l.looked[stream]
	now := sight{last: state.LastSeq, time: state.LastTime, at: time.Now()}
	switch {
	case state.LastSeq < want.Sequence:
		return false, nil
	case want.Record == "" || state.FirstSeq > want.Sequence:
		return true, nil
	case now.last == was.last && now.time.Equal(was.time):
		return true, nil
	case now.last > was.last && now.at.Sub(was.at) < lookAgain:
		return true, nil
	}
	m, err := l.peek(ctx, stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: want.Sequence,
	}, leaderAsk{Seq: want.Sequence, Next: allSubjects})
	if err != nil {
		return false, err
	}
	if m != nil && m.Sequence == want.Sequence && identity(m.Header) != want.Record {
		return false, nil
	}
	l.looked[stream] = now
	return true, nil
}
