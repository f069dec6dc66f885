package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reader reads the messages of a stream in their order, and makes no consumer: others who share
// the account could change, pause or remove it, or have made so many that there is room for none.
//
// It asks for many messages at once where a replica may answer, and holds what comes against
// what the leader says that the stream holds: a sequence that did not come is asked for there.
// So what it leaves out is not in the stream, whoever has answered.
type reader struct {
	js       jetstream.JetStream
	stream   string
	subjects []string // filters; none means all
	bare     bool     // without data
	made     time.Time
	gone     held // what the leader said of the stream, asked at the first gap
	at       uint64
	end      uint64 // the last sequence that there was when the leader was asked
	buffer   []*jetstream.RawStreamMsg
	sure     bool // at the end, that it is still the stream that the reading began with
	direct   bool // batches may be asked of any replica
	poor     int  // batches in a row that had to be made up for
	sparse   bool // few messages are on the subjects: they are asked for one by one
	near     int  // messages in a row, in the sparse way, that stood close together
}

// readFrom says where a reading begins and what it gives. Without Sequence, Time says.
type readFrom struct {
	Position
	subjects []string
	bare     bool
}

// newReader begins a reading of what there is now.
func newReader(ctx context.Context, js jetstream.JetStream, stream string, from readFrom) (*reader, error) {
	r := &reader{js: js, stream: stream, subjects: from.subjects, bare: from.bare, sparse: len(from.subjects) > 0}
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
func (r *reader) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, makeUpPatience)
	defer cancel()
	s, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return nil, fmt.Errorf("%w: asking for stream %s: %w", ErrUnavailable, r.stream, err)
	}
	return s.CachedInfo(), nil
}

// since returns the sequence of the first message that is not older than a time.
func since(ctx context.Context, js jetstream.JetStream, stream string, state jetstream.StreamState, t time.Time) (uint64, error) {
	low, high := max(state.FirstSeq, 1), state.LastSeq+1
	for low < high {
		middle := low + (high-low)/2
		m, err := askLeader(ctx, js, stream, leaderAsk{Seq: middle, Next: allSubjects})
		switch {
		case err != nil:
			return 0, fmt.Errorf("%w: reading stream %s: %v", ErrUnavailable, stream, err)
		case m == nil || !m.Time.Before(t):
			high = middle
		default:
			low = m.Sequence + 1
		}
	}
	return low, nil
}

// next returns the next message, or nil when what there was is read.
func (r *reader) next(ctx context.Context) (*jetstream.RawStreamMsg, error) {
	for len(r.buffer) == 0 {
		if r.at > r.end && (r.sure || r.end == 0) {
			return nil, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(err, context.Cause(ctx)))
		}
		if err := r.fill(ctx); err != nil {
			return nil, err
		}
	}
	m := r.buffer[0]
	r.buffer = r.buffer[1:]
	return m, nil
}

// fill reads on: one message of few, or a batch.
func (r *reader) fill(ctx context.Context) error {
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
func (r *reader) pick(ctx context.Context) error {
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

func (r *reader) wants(subject string) bool {
	return len(r.subjects) == 0 || covers(r.subjects, subject)
}

func (r *reader) give(m *jetstream.RawStreamMsg) {
	if r.bare {
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header[sizeHeader], m.Data = []string{strconv.Itoa(len(m.Data))}, nil
	}
	r.buffer = append(r.buffer, m)
}

// ended takes it that nothing is left up to the end, if it is still the stream that had it.
func (r *reader) ended(ctx context.Context) error {
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
func (r *reader) same(info *jetstream.StreamInfo) error {
	if info.State.LastSeq < r.end || !info.Created.Equal(r.made) {
		return fmt.Errorf("%w: stream %s reached sequence %d, and ends at %d now: it was made anew while it was read",
			ErrStalled, r.stream, r.end, info.State.LastSeq)
	}
	return nil
}

// batch returns the messages that come next, none of them left out; none if there is none.
func (r *reader) batch(ctx context.Context) ([]*jetstream.RawStreamMsg, error) {
	most := min(r.end-r.at+1, rangeBatch)
	if r.direct {
		got, err := askAny(ctx, r.js, r.stream, r.at, most)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		}
		if err != nil || len(got) == 0 {
			r.poor++
		}
		r.direct = r.poor < mostPoor && !errors.Is(err, errNoBatches)
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

// mostPoor is how many batches may have to be made up for before only the leader is asked: a
// mirror that somebody made may answer for the stream, without what it left out, or somebody
// who is no server.
const mostPoor = 4

// whole returns a batch up to the first message that was left out, and that message.
func (r *reader) whole(ctx context.Context, got []*jetstream.RawStreamMsg) ([]*jetstream.RawStreamMsg, error) {
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
// leader holds none there. What it says that it holds and does not give is ErrStalled.
func (r *reader) between(ctx context.Context, from, to uint64) (*jetstream.RawStreamMsg, error) {
	if from >= to || r.gone.last > 0 && r.gone.none(from, to) {
		return nil, nil
	}
	m, err := r.ask(ctx, from, allSubjects)
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
func (r *reader) removed(ctx context.Context, from, to uint64) (err error) {
	if r.gone.last > 0 && r.gone.none(from, to) {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, makeUpPatience)
	defer cancel()
	if r.gone, err = heldBy(asking, r.js, r.stream); err != nil {
		return err
	}
	if !r.gone.many && r.gone.last >= r.end && !r.gone.none(from, to) {
		return fmt.Errorf("%w: stream %s, sequences %d to %d", ErrStalled, r.stream, from, to-1)
	}
	return nil
}

// none reports whether nothing stands from one sequence up to another.
func (h held) none(from, to uint64) bool {
	if from = max(from, h.first); from >= to {
		return true
	}
	i, _ := slices.BinarySearch(h.gone, from)
	j, _ := slices.BinarySearch(h.gone, to)
	return uint64(j-i) == to-from
}

// ask asks the leader for the first message on a subject from a sequence on; nil if there is none.
func (r *reader) ask(ctx context.Context, from uint64, subject string) (*jetstream.RawStreamMsg, error) {
	m, err := askLeader(ctx, r.js, r.stream, leaderAsk{Seq: from, Next: subject})
	if err != nil {
		return nil, fmt.Errorf("%w: reading stream %s: %w", ErrUnavailable, r.stream, err)
	}
	return m, nil
}
