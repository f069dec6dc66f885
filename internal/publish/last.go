package publish

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lastOf calls yield with the last message of JOBS on each subject that holds one, by one
// request. The message's own subject stands in the header jetstream.SubjectHeader.
func (b *Bus) lastOf(ctx context.Context, subjects []string, yield func(*nats.Msg)) error {
	request := struct {
		Subjects []string `json:"multi_last"`
	}{subjects}
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
		if m.Header.Get("Status") != "" {
			return nil // 204 after the last, 404 if there is none
		}
		if m.Header.Get(jetstream.SubjectHeader) != "" {
			yield(m)
		}
	}
}
