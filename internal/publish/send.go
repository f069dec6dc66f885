package publish

import (
	"context"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/sender"
)

// message is one message to be stored.
type message struct {
	subject string
	header  job.Header
	data    []byte
}

// sendAndWait stores one message with further headers and returns its sequence. The error is as
// JetStream gave it if a condition failed, otherwise ErrUnavailable.
func (b *Store) sendAndWait(ctx context.Context, msg *message, more job.Header) (uint64, error) {
	sent, err := b.sender.Send(ctx, toSend(msg, more))
	if err != nil {
		return 0, err
	}
	return sent.Wait(ctx)
}

// toSend returns a message with further headers.
func toSend(msg *message, more job.Header) sender.Message {
	return sender.Message{Subject: msg.subject, Header: msg.header, More: more, Data: msg.data}
}

// header is one header, as sent.
func header(name, value string) job.Header { return job.Header(name + ": " + value + "\r\n") }

// expect is the condition that a sequence is the last of the message's subject; zero, that
// the subject is empty.
func expect(last uint64) job.Header {
	return header(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
}
