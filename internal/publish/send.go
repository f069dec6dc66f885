package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// message is one message to be stored.
type message struct {
	subject string
	header  job.Header
	data    []byte
}

// messageOf makes a message of one of the client library.
func messageOf(m *nats.Msg) *message {
	msg := &message{subject: m.Subject, data: m.Data}
	for name, values := range m.Header {
		for _, v := range values {
			msg.header = msg.header.Set(name, v)
		}
	}
	return msg
}

// publish stores one message with further headers and waits for its acknowledgement. The
// error is as JetStream gave it if it was its answer to a condition, else ErrUnavailable.
func (b *Bus) publish(ctx context.Context, msg *message, more ...header) (*jetstream.PubAck, error) {
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
func (b *Bus) send(ctx context.Context, msg *message, more ...header) (future, error) {
	f := future{wire: b.wire}
	var err error
	if f.wire != nil {
		f.waiting, f.token, err = f.wire.send(ctx, msg, true, more)
	} else if err = context.Cause(ctx); err == nil {
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
func (b *Bus) tell(ctx context.Context, msg *message, more ...header) error {
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

// with returns a message with further headers as one of the client library.
func with(msg *message, more []header) *nats.Msg {
	all := nats.Header(msg.header.Map())
	for _, h := range more {
		all[h.name] = []string{h.value}
	}
	return &nats.Msg{Subject: msg.subject, Header: all, Data: msg.data}
}

// readAck reads the answer of JetStream to a message. Its errors are those of publish.
func readAck(answer []byte) (*jetstream.PubAck, error) {
	if seq := plainAck(answer); seq > 0 {
		return &jetstream.PubAck{Stream: JobsStream, Sequence: seq}, nil
	}
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

// plainAck returns the sequence of an acknowledgement by JOBS that says nothing else, as most
// are; zero for all others, which are worth a JSON decoder.
func plainAck(answer []byte) uint64 {
	rest, ok := bytes.CutPrefix(answer, []byte(`{"stream":"`+JobsStream+`","seq":`))
	if !ok || len(rest) == 0 || rest[len(rest)-1] != '}' {
		return 0
	}
	seq, err := strconv.ParseUint(string(rest[:len(rest)-1]), 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

// refused is the error of publish for one that JetStream gave.
func refused(err error) error {
	if isTaken(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
