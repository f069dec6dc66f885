package publish

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// Span is a run of consecutive sequences.
type Span struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// AppendSpan adds a sequence behind all others.
func AppendSpan(spans []Span, seq uint64) []Span {
	if n := len(spans); n > 0 && spans[n-1].Last+1 == seq {
		spans[n-1].Last = seq
		return spans
	}
	return append(spans, Span{seq, seq})
}

// Gone returns which sequences up to one a stream does not hold, by the word of its leader, and no
// limit of the stream explains it.
func (b *Store) Gone(ctx context.Context, stream string, to uint64) (gone []Span, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, stream, err)
	}
	held, err := reader.Holds(ctx, b.js, stream)
	if err != nil {
		return nil, err
	}
	if first := max(held.First, 1); first > 1 && !mayTrim(s.CachedInfo()) {
		gone = append(gone, Span{1, min(first-1, to)})
	}
	if end := min(held.Last, to); held.Many && held.First <= end {
		return append(gone, Span{held.First, end}), nil // anywhere between them
	}
	for _, seq := range held.Gone() {
		if seq <= to {
			gone = AppendSpan(gone, seq)
		}
	}
	if held.Last < to {
		gone = append(gone, Span{held.Last + 1, to})
	}
	return gone, nil
}

// mayTrim reports whether a limit may have removed the oldest messages of a stream.
func mayTrim(info *jetstream.StreamInfo) bool {
	c, began := info.Config, conn.Began(info.Config, info.Created)
	return c.MaxBytes > 0 || c.MaxMsgs > 0 || c.MaxAge > 0 && info.TimeStamp.Sub(began) > c.MaxAge
}

// ContinueBehind makes an empty stream go on behind a sequence, so that none is given to two
// messages. It does nothing to a stream that holds messages, or is beyond it.
func (b *Store) ContinueBehind(ctx context.Context, stream string, last uint64) error {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if err == nil && s.CachedInfo().State.Msgs == 0 && s.CachedInfo().State.LastSeq < last {
		err = s.Purge(ctx, jetstream.WithPurgeSequence(last+1))
	}
	if err != nil {
		return fmt.Errorf("making stream %s continue behind sequence %d: %w", stream, last, err)
	}
	return nil
}
