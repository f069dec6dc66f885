package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// publish stores one message with further headers and waits for its acknowledgement. The
// error is as JetStream gave it if it was its answer to a condition, else ErrUnavailable.
func (b *Bus) publish(ctx context.Context, msg *nats.Msg, more ...header) (*jetstream.PubAck, error) {
	f, err := b.send(ctx, msg, more...)
	if err != nil {
		return nil, err
	}
	return f.wait(ctx)
}

// future is an acknowledgement to come: by the wire, or by the client library.
type future struct {
	wire    *wire
	waiting *waiter
	token   uint64
	library jetstream.PubAckFuture
}

// send is the first half of publish, and future.wait the other. What one caller sends is
// stored in that order.
func (b *Bus) send(ctx context.Context, msg *nats.Msg, more ...header) (future, error) {
	f := future{wire: b.wire}
	var err error
	if f.wire != nil {
		f.waiting, f.token, err = f.wire.send(ctx, msg, true, more)
	} else {
		f.library, err = b.js.PublishMsgAsync(with(msg, more))
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return f, err
}

func (f future) wait(ctx context.Context) (*jetstream.PubAck, error) {
	if f.wire != nil {
		answer, err := f.wire.wait(ctx, f.waiting, f.token)
		if err != nil {
			return nil, err
		}
		return readAck(answer)
	}
	select {
	case ack := <-f.library.Ok():
		return ack, nil
	case err := <-f.library.Err():
		return nil, refused(err)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, context.Cause(ctx))
	}
}

// tell sends one message that JetStream does not acknowledge by itself.
func (b *Bus) tell(ctx context.Context, msg *nats.Msg, more ...header) error {
	if b.wire != nil {
		return b.wire.tell(ctx, msg, more...)
	}
	return b.nc.PublishMsg(with(msg, more))
}

// expect is the condition that a sequence is the last of the message's subject; zero, that
// the subject is empty.
func expect(last uint64) header {
	return header{jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10)}
}

// with returns a message with further headers. They are copied: a batch that is refused
// leaves its messages to be stored otherwise.
func with(msg *nats.Msg, more []header) *nats.Msg {
	all := make(nats.Header, len(msg.Header)+len(more))
	for k, v := range msg.Header {
		all[k] = v
	}
	for _, h := range more {
		all[h.name] = []string{h.value}
	}
	return &nats.Msg{Subject: msg.Subject, Header: all, Data: msg.Data}
}

// readAck reads the answer of JetStream to a message. Its errors are those of publish.
func readAck(answer []byte) (*jetstream.PubAck, error) {
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.PubAck
	}
	if err := json.Unmarshal(answer, &ack); err != nil {
		return nil, fmt.Errorf("%w: reading the answer of JetStream: %w", ErrUnavailable, err)
	}
	if ack.Error != nil {
		return nil, refused(ack.Error)
	}
	if ack.Sequence == 0 {
		return nil, fmt.Errorf("%w: JetStream answers %q", ErrUnavailable, answer)
	}
	return &ack.PubAck, nil
}

// refused is the error of publish for one that JetStream gave.
func refused(err error) error {
	if isTaken(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
