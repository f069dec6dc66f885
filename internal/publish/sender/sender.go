// Package sender stores one message through the client library, and says what JetStream's answer
// means.
package sender

import (
	"context"
	"errors"
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

// Refused is the error of Wait for one that JetStream gave.
func Refused(err error) error {
	if Taken(err) {
		return err
	}
	return fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
}

// Taken reports whether JetStream refused a message because its subject holds another last
// sequence than expected: another message was stored there before.
func Taken(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == WrongLastSequence || api.ErrorCode == beingWritten)
}

// JetStream's codes; nats.go has no names for them. The first two are those of a failed expectation
// of the last sequence: nats-server errors.json, JSStreamWrongLastSequenceErrF and, for a subject
// whose message the replicas have not agreed on yet, …ConstantErr. BatchesDisabled is that of a
// stream without allow_atomic.
const (
	WrongLastSequence jetstream.ErrorCode = 10071
	beingWritten      jetstream.ErrorCode = 10164
	BatchesDisabled   jetstream.ErrorCode = 10174
)
