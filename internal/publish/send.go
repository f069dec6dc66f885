package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natsserver/wire"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/sender"
)

// message is one message to be stored.
type message struct {
	subject string
	header  job.Header
	data    []byte
}

// sendAndWait stores one message with further headers and waits for its acknowledgement. The error
// is as JetStream gave it if a condition failed, otherwise ErrUnavailable.
func (b *Store) sendAndWait(ctx context.Context, msg *message, more job.Header) (*jetstream.PubAck, error) {
	f, err := b.send(ctx, msg, more)
	if err != nil {
		return nil, err
	}
	return f.wait(ctx)
}

// future is a future acknowledgement: of the wire, or of the client library if library is not nil.
type future struct {
	wire    wire.Answer
	library jetstream.PubAckFuture
}

// send is the first half of sendAndWait, and future.wait the other. The messages of one caller are
// stored in their order.
func (b *Store) send(ctx context.Context, msg *message, more job.Header) (future, error) {
	if b.wire == nil {
		sent, err := sender.Send(ctx, b.js, with(msg, more))
		return future{library: sent}, err
	}
	sent, err := b.wire.Publish(ctx, onWire(msg, more))
	if err != nil {
		err = fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
	}
	return future{wire: sent}, err
}

func (f future) wait(ctx context.Context) (*jetstream.PubAck, error) {
	if f.library != nil {
		return sender.Wait(ctx, f.library)
	}
	answer, err := f.wire.Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
	}
	return readAck(answer)
}

// sendUnacknowledged sends one message for which JetStream sends no acknowledgement.
func (b *Store) sendUnacknowledged(ctx context.Context, msg *message, more job.Header) error {
	if b.wire != nil {
		return b.wire.PublishNoReply(ctx, onWire(msg, more))
	}
	return b.nc.PublishMsg(with(msg, more))
}

// header is one header, as sent.
func header(name, value string) job.Header { return job.Header(name + ": " + value + "\r\n") }

// expect is the condition that a sequence is the last of the message's subject; zero, that
// the subject is empty.
func expect(last uint64) job.Header {
	return header(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
}

// onWire returns a message with further headers as one of the wire.
func onWire(msg *message, more job.Header) wire.Message {
	return wire.Message{Subject: msg.subject, Header: msg.header, More: more, Data: msg.data}
}

// with returns a message with further headers as one of the client library.
func with(msg *message, more job.Header) *nats.Msg {
	all := nats.Header(msg.header.Map())
	maps.Copy(all, more.Map())
	return &nats.Msg{Subject: msg.subject, Header: all, Data: msg.data}
}

// readAck reads the answer of JetStream to a message. Its errors are those of sendAndWait.
func readAck(answer []byte) (*jetstream.PubAck, error) {
	if seq := plainAck(answer); seq > 0 {
		return &jetstream.PubAck{Stream: conn.JobsStream, Sequence: seq}, nil
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.PubAck
	}
	if err := json.Unmarshal(answer, &ack); err != nil {
		return nil, fmt.Errorf("%w: reading the answer of JetStream: %w", conn.ErrUnavailable, err)
	}
	if ack.Error != nil {
		return nil, sender.Refused(ack.Error)
	}
	if ack.Sequence == 0 {
		return nil, fmt.Errorf("%w: JetStream answers %q", conn.ErrUnavailable, answer)
	}
	return &ack.PubAck, nil
}

// plainAck returns the sequence of an acknowledgement by JOBS without other members, as most are;
// zero for all others, which need a JSON decoder.
func plainAck(answer []byte) uint64 {
	rest, ok := bytes.CutPrefix(answer, []byte(`{"stream":"`+conn.JobsStream+`","seq":`))
	if !ok || len(rest) == 0 || rest[len(rest)-1] != '}' {
		return 0
	}
	seq, err := strconv.ParseUint(string(rest[:len(rest)-1]), 10, 64)
	if err != nil {
		return 0
	}
	return seq
}
