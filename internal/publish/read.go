package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// ErrNotFound is returned when there is no such event.
var ErrNotFound = errors.New("no such event")

// Message is one message of a stream, as it stands there.
type Message struct {
	Subject  string
	Sequence uint64
	Time     time.Time
	Header   map[string][]string
	// Lines are the headers of a message that Bus.Lines read from a file, a name and a value
	// each; Header is nil then.
	Lines [][2]string
	// Data is the payload, read from the object store if it was kept there, and decrypted
	// if that is possible.
	Data []byte
	// Hidden is true if it was not: Data is encrypted. What gives messages as they stand in
	// the stream, such as Range, never decrypts and leaves it false.
	Hidden bool
	// Lost is true if it was kept in the object store and is not there any more; Data is nil.
	Lost bool
}

// last returns the newest event on a subject, Hidden if it is encrypted. A replica may answer that does not
// have yet what its leader has, so a miss is asked again until ctx is done.
func (b *Bus) last(ctx context.Context, subject string) (job.Stored, error) {
	for {
		raw, err := b.jobs.GetLastMsgForSubject(ctx, subject)
		if err == nil {
			return b.stored(ctx, raw, nil)
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return job.Stored{}, fmt.Errorf("%w: reading back %s: %v", ErrUnavailable, subject, err)
		}
		if pause(ctx, lagPause) != nil {
			return job.Stored{}, fmt.Errorf("%w: reading back %s: %v", ErrUnavailable, subject, err)
		}
	}
}

// lagPause is the time between two looks at a replica that lags behind its leader.
const lagPause = 5 * time.Millisecond

// Job returns every event of a job, in the order of the stream; none if nothing is
// known of it.
func (b *Bus) Job(ctx context.Context, source, id string) ([]job.Stored, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	var events []job.Stored
	for e, err := range b.on(ctx, "jobs."+source+"."+job.Token(id)+".*", b.reveal) {
		if err != nil {
			return nil, err
		}
		if e.Kind != job.Unrecognised { // of a body whose digest is the job's id
			events = append(events, e)
		}
	}
	return events, nil
}

// on returns the events on a subject, which may hold wildcards, oldest first.
func (b *Bus) on(ctx context.Context, subject string, reveal revealer) iter.Seq2[job.Stored, error] {
	return func(yield func(job.Stored, error) bool) {
		for next := uint64(1); ; {
			// Not a direct get: a replica or a mirror may not have all of them.
			raw, err := askLeader(ctx, b.js, JobsStream, leaderAsk{Seq: next, Next: subject})
			if raw == nil && err == nil {
				return
			}
			if err != nil {
				yield(job.Stored{}, fmt.Errorf("%w: reading %s: %v", ErrUnavailable, subject, err))
				return
			}
			e, err := b.stored(ctx, raw, reveal)
			if !yield(e, err) || err != nil {
				return
			}
			next = raw.Sequence + 1
		}
	}
}

// stored reads an event; reveal decrypts its data. Without it, data that is encrypted or kept
// apart is left out: what a job's state takes is in the headers.
func (b *Bus) stored(ctx context.Context, raw *jetstream.RawStreamMsg, reveal revealer) (job.Stored, error) {
	var data []byte
	lost := false
	switch {
	case reveal != nil:
		var err error
		if data, lost, err = b.kept(ctx, raw.Header, raw.Data); err != nil {
			return job.Stored{}, err
		}
		if data, err = reveal(raw.Header, data); err != nil || lost {
			data = nil
		}
	case !Refers(raw.Header) && !job.Encrypted(raw.Header):
		data = raw.Data
	}
	e, err := job.ParseEvent(raw.Subject, raw.Header, data)
	if err != nil {
		return job.Stored{}, fmt.Errorf("reading sequence %d of %s: %w", raw.Sequence, JobsStream, err)
	}
	e.Lost = lost
	return job.Stored{Event: e, Sequence: raw.Sequence}, nil
}

// Watch says which messages Messages gives.
type Watch struct {
	// Stream is JobsStream or AttemptsStream; empty means by the subject's first token.
	Stream string
	// Subjects filter the messages, with NATS wildcards; none means all.
	Subjects []string
	// Since leaves out what was stored earlier; zero means from the first.
	Since time.Time
	// Follow goes on with what comes; otherwise the end of the stream is the end.
	Follow bool
}

// Messages gives the messages of a stream in order: with Follow until ctx is done, else
// until the last that was there when it was called. An error is the last it gives;
// without Follow, the end of ctx is one, since messages are missing then.
func (b *Bus) Messages(ctx context.Context, w Watch) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		if err := b.messages(ctx, w, yield); err != nil && (ctx.Err() == nil || !w.Follow) {
			yield(Message{}, fmt.Errorf("reading stream %s: %w", w.stream(), err))
		}
	}
}

func (w Watch) stream() string {
	if w.Stream != "" {
		return w.Stream
	}
	if len(w.Subjects) > 0 && strings.HasPrefix(w.Subjects[0], "attempts.") {
		return AttemptsStream
	}
	return JobsStream
}

func (b *Bus) messages(ctx context.Context, w Watch, yield func(Message, error) bool) error {
	from := readFrom{Position: Position{Time: w.Since}, subjects: w.Subjects}
	var read func(context.Context) (*jetstream.RawStreamMsg, error)
	if w.Follow {
		t, err := newTail(ctx, b.js, w.stream(), from)
		if err != nil {
			return err
		}
		defer t.stop()
		read = t.follow
	} else {
		r, err := newReader(ctx, b.js, w.stream(), from)
		if err != nil {
			return err
		}
		read = r.next
	}
	for {
		raw, err := read(ctx)
		if raw == nil || err != nil {
			return errors.Join(err, ctx.Err())
		}
		m, err := b.received(ctx, raw)
		if !yield(m, err) || err != nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err() // whatever has come in advance
		}
	}
}

// endPause is how long a server that could not be asked is left alone.
const endPause = 500 * time.Millisecond

func (b *Bus) received(ctx context.Context, raw *jetstream.RawStreamMsg) (Message, error) {
	data, lost, err := b.kept(ctx, raw.Header, raw.Data)
	if err != nil {
		return Message{}, err
	}
	m := Message{Subject: raw.Subject, Sequence: raw.Sequence, Time: raw.Time, Header: raw.Header, Data: data, Lost: lost}
	if lost {
		return m, nil
	}
	if plain, err := b.reveal(m.Header, data); err == nil {
		m.Data = plain
	} else {
		m.Hidden = true
	}
	return m, nil
}

// clear is the data of a message if it is not hidden.
func (m Message) clear() []byte {
	if m.Hidden {
		return nil
	}
	return m.Data
}

// Follow gives the events on a subject, which may hold wildcards: those that are
// there, then those that come, until ctx is done.
func (b *Bus) Follow(ctx context.Context, subject string) iter.Seq2[job.Stored, error] {
	return func(yield func(job.Stored, error) bool) {
		for m, err := range b.Messages(ctx, Watch{Stream: JobsStream, Subjects: []string{subject}, Follow: true}) {
			var s job.Stored
			if err == nil {
				s.Sequence = m.Sequence
				s.Event, err = job.ParseEvent(m.Subject, m.Header, m.clear())
				s.Lost = m.Lost
			}
			if !yield(s, err) {
				return
			}
		}
	}
}
