package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// ErrStalled is returned when the server says that there are more messages and does not
// deliver them: what it keeps them in is damaged.
var ErrStalled = errors.New("the server does not deliver messages that it reports as stored")

// firstBatch is how many messages are asked for first, and rangeBatch how many at most at once.
const (
	firstBatch = 64
	rangeBatch = 4096
)

// maxBytes is how many bytes they may have, but for the last of them.
const maxBytes = 4 << 20

// Scan calls yield with the messages of a stream up to a sequence. The end of the stream is an
// end, and nothing else: what is there and does not come is an error.
func Scan(ctx context.Context, js jetstream.JetStream, stream string, from From, to uint64, yield func(*jetstream.RawStreamMsg) error) error {
	if to == 0 || from.Sequence > to {
		return nil
	}
	c, err := newCursor(ctx, js, stream, from)
	if err != nil {
		return err
	}
	c.end = min(c.end, to)
	for {
		m, err := c.next(ctx)
		if m == nil || err != nil {
			return err
		}
		if err := yield(m); err != nil {
			return err
		}
	}
}

// Held is what a stream holds, by the word of its leader.
type Held struct {
	First, Last uint64
	gone        []uint64 // sequences between them whose messages were removed, ascending
	Many        bool     // there are too many of them to be listed
}

// maxRemoved is how many removed messages are asked for one by one.
const maxRemoved = 100_000

// Holds asks the leader of a stream what it holds.
func Holds(ctx context.Context, js jetstream.JetStream, stream string) (Held, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return Held{}, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, stream, err)
	}
	state := s.CachedInfo().State
	if state.NumDeleted > 0 && state.NumDeleted <= maxRemoved {
		info, err := s.Info(ctx, jetstream.WithDeletedDetails(true))
		if err != nil {
			return Held{}, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, stream, err)
		}
		state = info.State
		slices.Sort(state.Deleted)
	}
	return Held{state.FirstSeq, state.LastSeq, state.Deleted, state.NumDeleted > maxRemoved}, nil
}

// Removed reports whether the message of a sequence was removed.
func (h Held) Removed(seq uint64) bool {
	_, gone := slices.BinarySearch(h.gone, seq)
	return gone || seq < h.First
}

// Gone are the sequences between the first and the last whose messages were removed, ascending,
// unless there are too many of them.
func (h Held) Gone() []uint64 { return h.gone }

// none reports whether nothing stands from one sequence up to another.
func (h Held) none(from, to uint64) bool {
	if from = max(from, h.First); from >= to {
		return true
	}
	i, _ := slices.BinarySearch(h.gone, from)
	j, _ := slices.BinarySearch(h.gone, to)
	return uint64(j-i) == to-from
}

// OlderThan counts the messages of a stream from before a time.
func OlderThan(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, t time.Time) (uint64, error) {
	state := stream.CachedInfo().State
	switch {
	case !state.FirstTime.Before(t):
		return 0, nil
	case state.LastTime.Before(t):
		return state.Msgs, nil
	}
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	name := stream.CachedInfo().Config.Name
	first, err := since(ctx, js, name, state, t)
	if err != nil {
		return 0, err
	}
	held, err := Holds(ctx, js, name)
	if err != nil {
		return 0, err
	}
	gone, _ := slices.BinarySearch(held.gone, first)
	return first - state.FirstSeq - uint64(gone), nil
}

// Covers reports whether a subject is one that any of the patterns means.
func Covers(patterns []string, subject string) bool {
	for _, p := range patterns {
		if matches(p, subject) {
			return true
		}
	}
	return false
}

// matches reports whether a subject is one that a pattern, which may hold wildcards, means.
func matches(pattern, subject string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">":
			return len(have) > i
		case i >= len(have), token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
