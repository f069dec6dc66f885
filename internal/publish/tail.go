package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// Tailed is a message of JOBS.
type Tailed struct {
	// Stored is the event; of a message of another client only its sequence is set.
	job.Stored
	// Foreign is set for a message that is no event.
	Foreign bool
	// Large is set if the data was left out because it is large, or too large for a message.
	Large bool
}

// tailBatch is how many bytes one reader of Tail holds, but for the last of the messages.
const tailBatch = 256 << 10

// Tail yields the messages of JOBS after a sequence, in order, then new ones, until ctx is done.
// Data of more than so many bytes is left out. A sequence that does not come is no longer in the
// stream. While NATS is away Tail waits. An error ends it.
func (b *Store) Tail(ctx context.Context, after uint64, largest int) iter.Seq2[Tailed, error] {
	return func(yield func(Tailed, error) bool) {
		from := reader.From{Sequence: after + 1, Batch: tailBatch}
		err := reader.Follow(ctx, b.js, conn.JobsStream, from, func(raw *jetstream.RawStreamMsg) error {
			if !yield(b.tailed(raw, largest), nil) {
				return errEnough
			}
			return ctx.Err() // whatever has come in advance
		})
		if !errors.Is(err, errEnough) && ctx.Err() == nil {
			yield(Tailed{}, fmt.Errorf("reading stream %s: %w", conn.JobsStream, err))
		}
	}
}

func (b *Store) tailed(raw *jetstream.RawStreamMsg, largest int) Tailed {
	t := Tailed{Stored: job.Stored{Sequence: raw.Sequence}}
	data, err := raw.Data, error(nil)
	if t.Large = Refers(raw.Header) || len(data) > largest; t.Large {
		data = nil
	} else if data, err = b.decrypt(raw.Header, data); err != nil {
		data = nil
	}
	t.Event, err = job.ParseEvent(raw.Subject, raw.Header, data)
	t.Foreign = err != nil
	return t
}

// SequenceSince returns the sequence of the first event that was stored at a time or later; the one
// after the last if there is none.
func (b *Store) SequenceSince(ctx context.Context, t time.Time) (uint64, error) {
	return reader.Since(ctx, b.js, conn.JobsStream, t)
}
