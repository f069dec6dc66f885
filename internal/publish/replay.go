package publish

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// ErrNoEvent is returned for an event that is not there any more.
var ErrNoEvent = errors.New("it has been removed")

// Replay publishes an event once more as it is stored, on the subject that job.ReplaySubject gives,
// acknowledged, and returns its sequence in REPLAYS. The header job.HeaderReplayOf has that in
// JOBS. The error is ErrUnavailable or ErrNoEvent.
func (b *Store) Replay(ctx context.Context, sequence uint64) (uint64, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	raw, err := b.jobs.GetMsg(ctx, sequence)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, fmt.Errorf("event %d of %s: %w", sequence, conn.JobsStream, ErrNoEvent)
	case err != nil:
		return 0, fmt.Errorf("%w: reading event %d of %s: %v", conn.ErrUnavailable, sequence, conn.JobsStream, err)
	}
	again := &nats.Msg{Subject: job.ReplaySubject(raw.Subject), Header: nats.Header{}, Data: raw.Data}
	for name, values := range raw.Header {
		if !strings.HasPrefix(name, "Nats-") { // those are about storing it
			again.Header[name] = values
		}
	}
	again.Header.Set(job.HeaderReplayOf, strconv.FormatUint(sequence, 10))
	ack, err := b.js.PublishMsg(ctx, again, jetstream.WithExpectStream(conn.ReplaysStream))
	if err != nil {
		return 0, fmt.Errorf("%w: publishing event %d once more: %v", conn.ErrUnavailable, sequence, err)
	}
	return ack.Sequence, nil
}
