package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// ErrMissing is returned for a stream or a bucket that is not there.
var ErrMissing = errors.New("there is no such stream")

// Extent is what a stream holds at one moment.
type Extent struct {
	// First is the sequence of the oldest message that is there; one more than Last if
	// there is none.
	First uint64
	// Last is the sequence of the newest message that ever was there.
	Last uint64
	// Messages and Bytes are how many are there, and what room they take.
	Messages, Bytes uint64
}

// Extent returns what a stream holds, by its leader's word. The error is ErrMissing or
// ErrUnavailable.
func (b *Bus) Extent(ctx context.Context, stream string) (Extent, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Extent{}, fmt.Errorf("%w: %s", ErrMissing, stream)
	}
	if err != nil {
		return Extent{}, fmt.Errorf("%w: asking for stream %s: %v", ErrUnavailable, stream, err)
	}
	state := s.CachedInfo().State
	return Extent{First: state.FirstSeq, Last: state.LastSeq, Messages: state.Msgs, Bytes: state.Bytes}, nil
}

// Settle takes no more refused attempts and returns when those that waited are stored, or
// dropped because ctx is done. Close does so too; between the two the streams can be read
// whole.
func (b *Bus) Settle(ctx context.Context) error { return b.queue.stop(ctx) }

// Body returns the body that a message of Range stands for: its data, or the object that
// its headers refer to, decrypted. The error is ErrHidden if it cannot be decrypted.
func (b *Bus) Body(ctx context.Context, m Message) ([]byte, error) {
	if !Refers(m.Header) {
		return b.reveal(m.Header, m.Data)
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	data, err := b.payload(ctx, m.Header, m.Data)
	if err != nil {
		return nil, err
	}
	return b.reveal(m.Header, data)
}

// Refers reports whether a message with these headers holds only a reference to its body.
func Refers(header map[string][]string) bool { return len(header[dataRef]) > 0 }

// On gives the events that stand on a subject of JOBS, which may hold wildcards, oldest
// first.
func (b *Bus) On(ctx context.Context, subject string) iter.Seq2[job.Stored, error] {
	return b.on(ctx, subject, b.reveal)
}
