package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// Message is one message of a stream, as stored.
type Message struct {
	Subject  string
	Sequence uint64
	Time     time.Time
	Header   map[string][]string
	// Lines are the headers of a message that Store.Lines read from a file, a name and a value
	// each; Header is nil then.
	Lines [][2]string
	// Data is the payload, read from the object store if it was stored there, and decrypted if that
	// is possible.
	Data []byte
	// Hidden is true if it could not be decrypted: Data is encrypted. Range and others that yield
	// messages as stored never decrypt and leave it false.
	Hidden bool
	// Lost is true if the payload was in the object store and is missing there; Data is nil.
	Lost bool
}

// Field returns the first value of a header, whether Header or Lines is set.
func (m *Message) Field(name string) string {
	for _, l := range m.Lines {
		if l[0] == name {
			return l[1]
		}
	}
	if v := m.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// last returns the newest event on a subject, Hidden if it is encrypted. A replica that lags behind
// its leader may answer, so a miss is repeated until ctx is done.
func (b *Store) last(ctx context.Context, subject string) (job.Stored, error) {
	for {
		raw, err := b.jobs.GetLastMsgForSubject(ctx, subject)
		if err == nil {
			return b.stored(ctx, raw, nil)
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return job.Stored{}, fmt.Errorf("%w: reading back %s: %v", conn.ErrUnavailable, subject, err)
		}
		if conn.Sleep(ctx, conn.LagPause) != nil {
			return job.Stored{}, fmt.Errorf("%w: reading back %s: %v", conn.ErrUnavailable, subject, err)
		}
	}
}

// Job returns every event of a job, in the order of the stream; none if the job is not known.
func (b *Store) Job(ctx context.Context, source, id string) ([]job.Stored, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	var events []job.Stored
	for e, err := range b.on(ctx, job.Pattern(source, id, ""), b.decrypt) {
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
func (b *Store) on(ctx context.Context, subject string, reveal decrypter) iter.Seq2[job.Stored, error] {
	return func(yield func(job.Stored, error) bool) {
		for next := uint64(1); ; {
			// No direct get: a replica or a mirror may lack some of them.
			raw, err := reader.AskLeader(ctx, b.js, conn.JobsStream, reader.Ask{Seq: next, Next: subject})
			if raw == nil && err == nil {
				return
			}
			if err != nil {
				yield(job.Stored{}, fmt.Errorf("%w: reading %s: %v", conn.ErrUnavailable, subject, err))
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

// stored parses an event; reveal decrypts its data. Without reveal, encrypted data and data in the
// object store is left out: the headers hold the state of a job.
func (b *Store) stored(ctx context.Context, raw *jetstream.RawStreamMsg, reveal decrypter) (job.Stored, error) {
	var data []byte
	lost := false
	switch {
	case reveal != nil:
		var err error
		if data, lost, err = b.storedBody(ctx, raw.Header, raw.Data); err != nil {
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
		return job.Stored{}, fmt.Errorf("reading sequence %d of %s: %w", raw.Sequence, conn.JobsStream, err)
	}
	e.Lost = lost
	return job.Stored{Event: e, Sequence: raw.Sequence}, nil
}

// Watch selects the messages that Messages yields.
type Watch struct {
	// Stream is JobsStream or AttemptsStream; empty means by the subject's first token.
	Stream string
	// Subjects filter the messages, with NATS wildcards; none means all messages.
	Subjects []string
	// Since leaves out what was stored earlier; zero means from the first.
	Since time.Time
	// Follow continues with new messages; otherwise the end of the stream is the end.
	Follow bool
}

// Messages yields the messages of a stream in order: with Follow until ctx is done, otherwise up to
// the last one at the time of the call. An error ends it. Without Follow, the end of ctx is an
// error, since messages are missing then.
func (b *Store) Messages(ctx context.Context, w Watch) iter.Seq2[Message, error] {
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
	if len(w.Subjects) > 0 && strings.HasPrefix(w.Subjects[0], job.AttemptsPrefix) {
		return conn.AttemptsStream
	}
	return conn.JobsStream
}

func (b *Store) messages(ctx context.Context, w Watch, yield func(Message, error) bool) error {
	from := reader.From{Time: w.Since, Subjects: w.Subjects}
	read := func(yield func(*jetstream.RawStreamMsg) error) error {
		return reader.Scan(ctx, b.js, w.stream(), from, math.MaxUint64, yield)
	}
	if w.Follow {
		read = func(yield func(*jetstream.RawStreamMsg) error) error {
			return reader.Follow(ctx, b.js, w.stream(), from, yield)
		}
	}
	err := read(func(raw *jetstream.RawStreamMsg) error {
		m, err := b.received(ctx, raw)
		if !yield(m, err) || err != nil {
			return errEnough
		}
		return ctx.Err() // whatever has come in advance
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return errors.Join(err, ctx.Err())
}

// messages makes a scan yield messages as stored.
func messages(yield func(Message) error) func(*jetstream.RawStreamMsg) error {
	return func(raw *jetstream.RawStreamMsg) error { return yield(newMessage(raw)) }
}

// newMessage is a message as it stands in its stream.
func newMessage(raw *jetstream.RawStreamMsg) Message {
	return Message{Subject: raw.Subject, Sequence: raw.Sequence, Time: raw.Time, Header: raw.Header, Data: raw.Data}
}

func (b *Store) received(ctx context.Context, raw *jetstream.RawStreamMsg) (Message, error) {
	data, lost, err := b.storedBody(ctx, raw.Header, raw.Data)
	if err != nil {
		return Message{}, err
	}
	m := newMessage(raw)
	m.Data, m.Lost = data, lost
	if lost {
		return m, nil
	}
	if plain, err := b.decrypt(m.Header, data); err == nil {
		m.Data = plain
	} else {
		m.Hidden = true
	}
	return m, nil
}

// clear is the data of a message if it is not encrypted.
func (m Message) clear() []byte {
	if m.Hidden {
		return nil
	}
	return m.Data
}

// Follow yields the events on a subject, which may hold wildcards: those that are stored, then new
// ones, until ctx is done.
func (b *Store) Follow(ctx context.Context, subject string) iter.Seq2[job.Stored, error] {
	return func(yield func(job.Stored, error) bool) {
		for m, err := range b.Messages(ctx, Watch{Stream: conn.JobsStream, Subjects: []string{subject}, Follow: true}) {
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

// On yields the events on a subject of JOBS, which may hold wildcards, oldest first.
func (b *Store) On(ctx context.Context, subject string) iter.Seq2[job.Stored, error] {
	return b.on(ctx, subject, b.decrypt)
}
