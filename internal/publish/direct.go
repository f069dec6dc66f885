package publish

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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
