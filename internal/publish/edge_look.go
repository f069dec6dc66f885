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
	} else if _, err := l.lookAt(ctx, JobsStream, at.Hub, []string{job.Subject("*", "", job.Unrecognised)}, there); err != nil {
		return err
	}
	told, err := l.lookAt(ctx, AttemptsStream, at.Attempts, attempts, there)
	if err != nil {
		return err
	}
	l.set(func(at *reached) { at.Told = at.Told.or(told) })
	l.there = there
	return nil
}

// lookAt returns the last of them.
func (l *lane) lookAt(ctx context.Context, stream string, after uint64, subjects []string, there map[string]bool) (found seen, err error) {
	last, err := l.hub.LastSequence(ctx, stream)
	if err != nil {
		return found, err
	}
	cfg := jetstream.OrderedConsumerConfig{OptStartSeq: after + 1, FilterSubjects: subjects, HeadersOnly: true}
	err = scan(ctx, l.hub.js, stream, cfg, last, func(m Message) error {
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
	same := true
	cfg := jetstream.OrderedConsumerConfig{OptStartSeq: want.Sequence, HeadersOnly: true}
	err := scan(ctx, l.hub.js, stream, cfg, want.Sequence, func(m Message) error {
		same = identity(m.Header) == want.Record
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("%w: looking at sequence %d of stream %s at the hub: %v", ErrUnavailable, want.Sequence, stream, err)
	}
	if same {
		l.looked[stream] = now
	}
	return same, nil
}
