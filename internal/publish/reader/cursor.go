// Package reader reads streams by the sequences of their messages. It makes no consumer, which
// others who share the account could change or remove, and holds what any replica answers against
// what the leader says that the stream holds. nats.go's ordered consumer could do most of this once
// it returns messages that have a header Status of their own: docs/dependencies.md, "Faults of NATS
// that the receiver works around".
package reader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// cursor reads the messages of a stream in their order, and makes no consumer: others who share
// the account could change, pause or remove it, or have made so many that there is room for none.
//
// It asks for many messages at once where a replica may answer, and holds what comes against
// what the leader says that the stream holds: a sequence that did not come is asked for there.
// So a sequence that it leaves out is not in the stream, whichever server answered.
type cursor struct {
	js       jetstream.JetStream
	stream   string
	subjects []string // filters; none means all
	bare     bool     // without data
	bytes    int      // of one batch, but for the last message of it
	most     uint64   // messages of the next batch: few at first, as many a reader wants no more
	made     time.Time
	gone     Held // what the leader said of the stream, asked at the first gap
	at       uint64
	end      uint64 // the last sequence that there was when the leader was asked
	buffer   []*jetstream.RawStreamMsg
	sure     bool // at the end, that it is still the stream that the reading began with
	direct   bool // batches may be asked of any replica
	poor     int  // batches in a row that had to be made up for
	sparse   bool // few messages are on the subjects: they are asked for one by one
	near     int  // messages in a row, in the sparse way, that stood close together
}

// From says where a reading begins and what it gives. The zero value is all there is.
type From struct {
	// Sequence is that of the first message wanted; 0 means that Time says.
	Sequence uint64
	// Time leaves out what was stored earlier, unless Sequence is set.
	Time time.Time
	// Subjects filter the messages, with NATS wildcards; none means all.
	Subjects []string
	// Bare leaves out the data; a header says how much it was.
	Bare bool
	// Batch is how many bytes are asked for at once, but for the last message of them, and so how
	// many are held; 0 is 4 MiB.
	Batch int
}

// newCursor begins a reading of what there is now.
func newCursor(ctx context.Context, js jetstream.JetStream, stream string, from From) (*cursor, error) {
	r := &cursor{
		js: js, stream: stream, subjects: from.Subjects, bare: from.Bare, bytes: cmp.Or(from.Batch, maxBytes), most: firstBatch, sparse: len(from.Subjects) > 0,
	}
	info, err := r.info(ctx)
	if err != nil {
		return nil, err
	}
	r.made, r.end, r.direct = info.Created, info.State.LastSeq, info.Config.AllowDirect
	r.at = max(from.Sequence, info.State.FirstSeq, 1)
	if from.Sequence == 0 && !from.Time.IsZero() {
		r.at, err = since(ctx, js, stream, info.State, from.Time)
	}
	return r, err
}

// info asks the leader.
func (r *cursor) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, messageTimeout)
	defer cancel()
	s, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return nil, fmt.Errorf("%w: asking for stream %s: %w", conn.ErrUnavailable, r.stream, err)
	}
	return s.CachedInfo(), nil
}

// Since returns the sequence of the first message of a stream that is not older than a time; the
// one after the last if all are older.
func Since(ctx context.Context, js jetstream.JetStream, stream string, t time.Time) (uint64, error) {
	c, err := newCursor(ctx, js, stream, From{Time: t})
	if err != nil {
		return 0, err
	}
	return c.at, nil
}

func since(ctx context.Context, js jetstream.JetStream, stream string, state jetstream.StreamState, t time.Time) (uint64, error) {
	low, high := max(state.FirstSeq, 1), state.LastSeq+1
	for low < high {
		middle := low + (high-low)/2
		m, err := AskLeader(ctx, js, stream, Ask{Seq: middle, Next: AllSubjects})
		switch {
		case err != nil:
			return 0, fmt.Errorf("%w: reading stream %s: %v", conn.ErrUnavailable, stream, err)
		case m == nil || !m.Time.Before(t):
			high = middle
		default:
			low = m.Sequence + 1
		}
	}
	return low, nil
}

// next returns the next message, or nil when what there was is read.
func (r *cursor) next(ctx context.Context) (*jetstream.RawStreamMsg, error) {
	for len(r.buffer) == 0 {
		if r.at > r.end && (r.sure || r.end == 0) {
			return nil, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%w: %w", conn.ErrUnavailable, errors.Join(err, context.Cause(ctx)))
		}
		if err := r.fill(ctx); err != nil {
			return nil, err
		}
	}
	m := r.buffer[0]
	r.buffer[0], r.buffer = nil, r.buffer[1:] // what was given is not kept
	return m, nil
}

// fill reads on: one message of few, or a batch.
func (r *cursor) fill(ctx context.Context) error {
	if r.at > r.end {
		return r.ended(ctx)
	}
	if r.sparse {
		return r.pick(ctx)
	}
	all, err := r.batch(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return r.ended(ctx)
	}
	from := r.at
	for _, m := range all {
		if m.Sequence <= r.end && r.wants(m.Subject) {
			r.give(m)
		}
	}
	r.at = min(all[len(all)-1].Sequence, r.end) + 1
	r.sparse = len(r.subjects) > 0 && uint64(len(r.buffer))*closeBy < r.at-from
	return nil
}

// closeBy is how far apart messages may stand that are read with all between them, and manyNear
// how many of them in a row make it worth that.
const (
	closeBy  = 16
	manyNear = 8
)

// pick asks the leader for the next message on the subjects.
func (r *cursor) pick(ctx context.Context) error {
	var first *jetstream.RawStreamMsg
	for _, subject := range r.subjects {
		m, err := r.ask(ctx, r.at, subject)
		if err != nil {
			return err
		}
		if m != nil && (first == nil || m.Sequence < first.Sequence) {
			first = m
		}
	}
	if first == nil || first.Sequence > r.end {
		return r.ended(ctx)
	}
	if r.near++; first.Sequence-r.at >= closeBy {
		r.near = 0
	}
	if r.near >= manyNear {
		r.sparse, r.near = false, 0
	}
	r.at = first.Sequence + 1
	r.give(first)
	return nil
}

func (r *cursor) wants(subject string) bool {
	return len(r.subjects) == 0 || Covers(r.subjects, subject)
}

func (r *cursor) give(m *jetstream.RawStreamMsg) {
	if r.bare {
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header[job.HeaderLeftOut], m.Data = []string{strconv.Itoa(len(m.Data))}, nil
	}
	r.buffer = append(r.buffer, m)
}

// ended takes it that nothing is left up to the end, if it is still the stream that had it.
func (r *cursor) ended(ctx context.Context) error {
	info, err := r.info(ctx)
	if err != nil {
		return err
	}
	if err := r.same(info); err != nil {
		return err
	}
	r.at, r.sure = r.end+1, true
	return nil
}

// same is an error if this is not the stream that the reading began with.
func (r *cursor) same(info *jetstream.StreamInfo) error {
	if info.State.LastSeq < r.end || !info.Created.Equal(r.made) {
		return fmt.Errorf("%w: stream %s had reached sequence %d, but now ends at %d: it was recreated while it was read",
			ErrStalled, r.stream, r.end, info.State.LastSeq)
	}
	return nil
}

// batch returns the messages that come next, none of them left out; none if there is none.
func (r *cursor) batch(ctx context.Context) ([]*jetstream.RawStreamMsg, error) {
	most := min(r.end-r.at+1, r.most)
	r.most = min(2*r.most, rangeBatch)
	if r.direct {
		got, err := askAny(ctx, r.js, r.stream, r.at, most, r.bytes)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", conn.ErrUnavailable, context.Cause(ctx))
		}
		if err != nil || len(got) == 0 {
			r.poor++
		}
		r.direct = r.poor < maxIncomplete && !errors.Is(err, errNoBatches)
		if len(got) > 0 {
			return r.whole(ctx, got)
		}
	}
	got, err := r.each(ctx, min(most, eachAtOnce))
	if err != nil {
		return nil, err
	}
	return r.whole(ctx, got)
}

// maxIncomplete is how many batches may have to be made up for before only the leader is asked: a
// mirror that somebody made may answer for the stream, without what it left out, or somebody
// who is no server.
const maxIncomplete = 4

// whole returns a batch up to the first message that was left out, and that message.
func (r *cursor) whole(ctx context.Context, got []*jetstream.RawStreamMsg) ([]*jetstream.RawStreamMsg, error) {
	expected := r.at
	for i, m := range got {
		left, err := r.between(ctx, expected, m.Sequence)
		if err != nil {
			return nil, err
		}
		if left != nil {
			r.poor++
			return append(got[:i:i], left), nil
		}
		expected = m.Sequence + 1
	}
	if len(got) > 0 {
		return got, nil
	}
	left, err := r.between(ctx, r.at, r.end+1)
	if left == nil || err != nil {
		return nil, err
	}
	return []*jetstream.RawStreamMsg{left}, nil
}

// between returns the first message from one sequence on that stands before another; nil if the
// leader holds none there. If it says that it holds one and does
// not return it, the error is ErrStalled.
func (r *cursor) between(ctx context.Context, from, to uint64) (*jetstream.RawStreamMsg, error) {
	if from >= to || r.gone.Last > 0 && r.gone.none(from, to) {
		return nil, nil
	}
	m, err := r.ask(ctx, from, AllSubjects)
	if err != nil {
		return nil, err
	}
	if m != nil && m.Sequence < to {
		to = m.Sequence
	} else {
		m = nil
	}
	if from < to {
		err = r.removed(ctx, from, to)
	}
	return m, err
}

// removed is an error unless the leader says that nothing stands from one sequence up to another.
func (r *cursor) removed(ctx context.Context, from, to uint64) (err error) {
	if r.gone.Last > 0 && r.gone.none(from, to) {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, messageTimeout)
	defer cancel()
	if r.gone, err = Holds(asking, r.js, r.stream); err != nil {
		return err
	}
	if !r.gone.Many && r.gone.Last >= r.end && !r.gone.none(from, to) {
		return fmt.Errorf("%w: stream %s, sequences %d to %d", ErrStalled, r.stream, from, to-1)
	}
	return nil
}

// ask asks the leader for the first message on a subject from a sequence on; nil if there is none.
func (r *cursor) ask(ctx context.Context, from uint64, subject string) (*jetstream.RawStreamMsg, error) {
	m, err := AskLeader(ctx, r.js, r.stream, Ask{Seq: from, Next: subject})
	if err != nil {
		return nil, fmt.Errorf("%w: reading stream %s: %w", conn.ErrUnavailable, r.stream, err)
	}
	return m, nil
}
