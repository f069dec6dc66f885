package sender

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// Send is the first half of storing a message, and Wait the other. The messages of one
// caller are stored in their order.
func Send(ctx context.Context, js jetstream.JetStream, msg *nats.Msg) (jetstream.PubAckFuture, error) {
	err := context.Cause(ctx)
	if err == nil {
		var sent jetstream.PubAckFuture
		if sent, err = js.PublishMsgAsync(msg); err == nil {
			return sent, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
}

// Wait returns the acknowledgement. The error is as JetStream gave it if it was its answer to a
// condition, else conn.ErrUnavailable.
func Wait(ctx context.Context, sent jetstream.PubAckFuture) (*jetstream.PubAck, error) {
	select {
	case ack := <-sent.Ok():
		return ack, nil
	case err := <-sent.Err():
		return nil, Refused(err)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %v", conn.ErrUnavailable, context.Cause(ctx))
	}
}
