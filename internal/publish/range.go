package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The stream and the bucket of the evidence; see internal/audit.
const (
	// CheckpointsStream holds every signed checkpoint, on `checkpoints.<name>.<stream>`.
	CheckpointsStream = "CHECKPOINTS"
	// TilesBucket holds the tiles of the Merkle trees, by their C2SP names.
	TilesBucket = "TILES"
)

// LastSequence returns the sequence of the newest message that a stream ever stored,
// 0 if there never was one. It is the leader's word.
func (b *Bus) LastSequence(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("%w: asking for stream %s: %v", ErrUnavailable, stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Range calls yield with each message of a stream whose sequence is from from to to, in
// order, as it stands there: a body in the object store is not fetched. An error of
// yield ends it and is returned. The messages come from the stream's leader, so that
// none is left out by a replica that lags.
func (b *Bus) Range(ctx context.Context, stream string, from, to uint64, yield func(Message) error) error {
	return scan(ctx, b.js, stream, readFrom{Position: Position{Sequence: max(from, 1)}}, to, yield)
}

// Position is where a reading begins. The zero Position is the first message there is.
type Position struct {
	// Time leaves out what was stored earlier, unless Sequence is set.
	Time time.Time
	// Sequence is that of the first message wanted; 0 means that Time says.
	Sequence uint64
}

// From gives the messages of a stream from a position up to the last that is there when it
// is called, as Range does; without their data if headersOnly.
func (b *Bus) From(ctx context.Context, stream string, from Position, headersOnly bool) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		last, err := b.LastSequence(ctx, stream)
		if err == nil {
			err = scan(ctx, b.js, stream, readFrom{Position: from, bare: headersOnly}, last, func(m Message) error {
				if !yield(m, nil) {
					return errEnough
				}
				return nil
			})
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(Message{}, err)
		}
	}
}

// errEnough ends a scan that nobody reads on.
var errEnough = errors.New("nobody reads on")

// Headers calls yield with every message that a stream holds now, in order, without its
// data. Otherwise it is as Range.
func (b *Bus) Headers(ctx context.Context, stream string, yield func(Message) error) error {
	last, err := b.LastSequence(ctx, stream)
	if err != nil {
		return err
	}
	return scan(ctx, b.js, stream, readFrom{bare: true}, last, yield)
}

// scan calls yield with the messages of a stream up to a sequence. The end of the stream is an
// end, and nothing else: what is there and does not come is an error.
func scan(ctx context.Context, js jetstream.JetStream, stream string, from readFrom, to uint64, yield func(Message) error) error {
	if to == 0 || from.Sequence > to {
		return nil
	}
	reader, err := newReader(ctx, js, stream, from)
	if err != nil {
		return err
	}
	reader.end = min(reader.end, to)
	for {
		m, err := reader.next(ctx)
		if m == nil || err != nil {
			return err
		}
		if err := yield(Message{Subject: m.Subject, Sequence: m.Sequence, Time: m.Time, Header: m.Header, Data: m.Data}); err != nil {
			return err
		}
	}
}

// ErrStalled is returned when the server says that there are more messages and does not
// deliver them: what it keeps them in is damaged.
var ErrStalled = errors.New("the server does not deliver what it says that it holds")

// rangeBatch is how many messages are asked for at once.
const rangeBatch = 4096

// ErrChanged is returned by Checkpoints.Store when another checkpoint was stored since.
var ErrChanged = errors.New("another checkpoint was stored since")

// Checkpoints are the checkpoints of one log: messages on one subject, of which the
// newest is in force and the sequence is the revision.
type Checkpoints struct {
	bus     *Bus
	stream  jetstream.Stream
	subject string
}

// Checkpoints opens the checkpoints of the log over a stream, of the receiver called
// name. Without any, when opened for reading only, the error is ErrMissing.
func (b *Bus) Checkpoints(ctx context.Context, name, stream string) (Checkpoints, error) {
	s, err := b.ensureStream(ctx, b.opts.Streams.checkpoints())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = fmt.Errorf("%w: %s", ErrMissing, CheckpointsStream)
	}
	if err != nil {
		return Checkpoints{}, err
	}
	return Checkpoints{bus: b, stream: s, subject: strings.Join([]string{"checkpoints", name, stream}, ".")}, nil
}

// Load returns the newest checkpoint and its revision; nil and 0 when there is none.
func (c Checkpoints) Load(ctx context.Context) ([]byte, uint64, error) {
	// Not a direct get: the leader's word counts here.
	info, err := c.stream.Info(ctx, jetstream.WithSubjectFilter(c.subject))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: asking for the checkpoints on %s: %v", ErrUnavailable, c.subject, err)
	}
	if info.State.Subjects[c.subject] == 0 {
		return nil, 0, nil
	}
	m, err := c.stream.GetLastMsgForSubject(ctx, c.subject)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: reading the newest checkpoint on %s: %v", ErrUnavailable, c.subject, err)
	}
	return m.Data, m.Sequence, nil
}

// Store adds a checkpoint if the newest still has the given revision, and returns its
// own; else the error is ErrChanged.
func (c Checkpoints) Store(ctx context.Context, checkpoint []byte, revision uint64) (uint64, error) {
	msg := &message{subject: c.subject, data: checkpoint}
	ack, err := c.bus.publish(ctx, msg, expect(revision))
	if isTaken(err) {
		return 0, fmt.Errorf("%w: %v", ErrChanged, err)
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// All calls yield with every checkpoint that is kept, oldest first.
func (c Checkpoints) All(ctx context.Context, yield func(Message) error) error {
	last, err := c.bus.LastSequence(ctx, CheckpointsStream)
	if err != nil {
		return err
	}
	return c.bus.Range(ctx, CheckpointsStream, 1, last, func(m Message) error {
		if m.Subject != c.subject {
			return nil
		}
		return yield(m)
	})
}
