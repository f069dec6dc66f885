package sender

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// readAck returns the sequence that an answer of JetStream acknowledges. Its errors are those of
// Answer.Wait.
func readAck(m *nats.Msg) (uint64, error) {
	if seq := plainAck(m.Data); seq > 0 {
		return seq, nil
	}
	if len(m.Data) == 0 { // a status of the server: nobody takes the subject
		return 0, fmt.Errorf("%w: %w", conn.ErrUnavailable, jetstream.ErrNoStreamResponse)
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.PubAck
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return 0, fmt.Errorf("%w: reading the answer of JetStream: %w", conn.ErrUnavailable, err)
	}
	if ack.Error != nil {
		return 0, Refused(ack.Error)
	}
	if ack.Sequence == 0 {
		return 0, fmt.Errorf("%w: JetStream answers %q", conn.ErrUnavailable, m.Data)
	}
	return ack.Sequence, nil
}

// plainAck returns the sequence of an acknowledgement that ends with its sequence, as most do;
// zero for all others, which need a JSON decoder.
func plainAck(answer []byte) uint64 {
	start, rest, ok := bytes.Cut(answer, []byte(`,"seq":`))
	if !ok || !bytes.HasPrefix(start, []byte(`{"stream":"`)) || len(rest) == 0 || rest[len(rest)-1] != '}' {
		return 0
	}
	seq, err := strconv.ParseUint(string(rest[:len(rest)-1]), 10, 64)
	if err != nil {
		return 0
	}
	return seq
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
