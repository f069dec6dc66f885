package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// direct asks for several messages of JOBS by one request, which whatever replica is next
// answers, and calls yield with each. A message's own subject and sequence stand in its
// headers.
//
// NATS ADR-31, "Batched requests" and "Multi-subject requests".
func (b *Bus) direct(ctx context.Context, request any, yield func(*nats.Msg)) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	inbox := b.nc.NewRespInbox()
	answers, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer answers.Unsubscribe() //nolint:errcheck // it fails only on a closed connection
	if err := b.nc.PublishRequest(b.opts.api("DIRECT.GET."+JobsStream), inbox, body); err != nil {
		return err
	}
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		if m.Header.Get(jetstream.SubjectHeader) == "" {
			return nil // 204 after the last, 404 if there is none
		}
		yield(m) // even one that has a status of its own
	}
}

// lastOf calls yield with the last message of JOBS on each subject that holds one.
func (b *Bus) lastOf(ctx context.Context, subjects []string, yield func(*nats.Msg)) error {
	return b.direct(ctx, struct {
		Subjects []string `json:"multi_last"`
	}{subjects}, yield)
}

// mostDirect is how many events are read directly: more are worth a consumer, which leaves
// their bodies where they are.
const mostDirect = 256

// briefsDirect gives events from that sequence on, up to mostDirect, and returns the
// sequence of the last message that it read, 0 if there was none.
func (b *Bus) briefsDirect(ctx context.Context, from uint64, yield func([]job.Brief, error) bool) (last uint64, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	var batch []job.Brief
	err = b.direct(ctx, struct {
		From  uint64 `json:"seq"`
		Most  int    `json:"batch"`
		Bytes int    `json:"max_bytes"`
	}{from, mostDirect, maxBatchBytes}, func(m *nats.Msg) {
		seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return // no message of a stream
		}
		last = seq
		if e, err := job.ReadBrief(m.Header.Get(jetstream.SubjectHeader), m.Header); err == nil {
			e.Sequence = seq
			batch = append(batch, e)
		}
	})
	if err != nil {
		return 0, fmt.Errorf("%w: reading stream %s from %d on: %v", ErrUnavailable, JobsStream, from, err)
	}
	if len(batch) > 0 {
		yield(batch, nil)
	}
	return last, nil
}
