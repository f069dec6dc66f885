package edge

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/objects"
	"receiver/internal/publish/schema"
	"receiver/internal/publish/sender"
)

// hub is a connection to the streams of the hub.
type hub struct {
	opts           conn.Options
	js             jetstream.JetStream
	jobs, attempts jetstream.Stream
}

// openHub opens the hub's streams, making those that are missing.
func openHub(ctx context.Context, at conn.Endpoint, o conn.Options) (*hub, error) {
	nc, err := at.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	h := &hub{opts: o}
	h.js, err = o.JetStream(nc, jetstream.WithPublishAsyncTimeout(o.AckTimeout()), jetstream.WithDefaultTimeout(o.Timeout))
	if err != nil {
		err = fmt.Errorf("using JetStream: %w", err)
	}
	for name, stream := range map[string]*jetstream.Stream{conn.JobsStream: &h.jobs, conn.AttemptsStream: &h.attempts} {
		if err == nil {
			*stream, err = h.ensure(ctx, name)
		}
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return h, nil
}

// ensure opens a stream, and makes it if it is missing.
func (h *hub) ensure(ctx context.Context, name string) (jetstream.Stream, error) {
	for _, want := range h.opts.Streams.Configs() {
		if want.Name == name {
			return schema.Ensure(ctx, h.js, h.opts, want)
		}
	}
	return nil, fmt.Errorf("%w: %s", conn.ErrMissing, name)
}

// lastSequence returns the sequence of the newest message that a stream ever stored, 0 if there
// never was one. The leader answers.
func lastSequence(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

func (h *hub) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return h.opts.BoundBy(ctx, h.js.Conn())
}

// maxMessage is the largest message that is sent to a hub, the default of nats-server. A hub with a
// lower limit would close the link at each larger one.
const maxMessage = conn.HubPayload

// fits reports whether a stream and the hub take a message of this size.
func (h *hub) fits(s jetstream.Stream, msg *nats.Msg) bool {
	limit := min(h.js.Conn().MaxPayload(), maxMessage)
	return conn.Fits(s.CachedInfo().Config, limit, len(headerOf(msg))+len(msg.Data))
}

// header is a header that is sent with a message.
type header struct{ name, value string }

// expect is the condition that a sequence is the last of the message's subject; zero, that
// the subject is empty.
func expect(last uint64) header {
	return header{jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10)}
}

// headerOf returns the headers of a message for sending, without those that a server acts on.
func headerOf(m *nats.Msg) (h job.Header) {
	for name, values := range m.Header {
		for _, v := range values {
			h = h.Set(name, v)
		}
	}
	return h
}

// with returns a message with further headers.
func with(m *nats.Msg, more ...header) *nats.Msg {
	all := nats.Header(headerOf(m).Map())
	for _, h := range more {
		all[h.name] = []string{h.value}
	}
	return &nats.Msg{Subject: m.Subject, Header: all, Data: m.Data}
}

// send is the first half of publish, and sender.Wait the other.
func (h *hub) send(ctx context.Context, msg *nats.Msg, more ...header) (jetstream.PubAckFuture, error) {
	return sender.Send(ctx, h.js, with(msg, more...))
}

// publish stores a message.
func (h *hub) publish(ctx context.Context, msg *nats.Msg, more ...header) (*jetstream.PubAck, error) {
	sent, err := h.send(ctx, msg, more...)
	if err != nil {
		return nil, err
	}
	return sender.Wait(ctx, sent)
}

// batch stores records whole or not at all, each on the condition that its subject is empty, and
// returns the sequence of the last.
func (h *hub) batch(ctx context.Context, records []*record) (uint64, error) {
	ctx, cancel := h.bound(ctx)
	defer cancel()
	id, last := nuid.Next(), len(records)-1
	member := func(i int) []header {
		return []header{expect(0), {conn.BatchIDHeader, id}, {conn.BatchSequenceHeader, strconv.Itoa(i + 1)}}
	}
	for i, r := range records[:last] {
		if err := h.js.Conn().PublishMsg(with(r.msg, member(i)...)); err != nil {
			return 0, err
		}
	}
	ack, err := h.publish(ctx, records[last].msg, append(member(last), header{conn.BatchCommitHeader, "1"})...)
	if err != nil {
		return 0, err
	}
	if ack.Sequence < uint64(len(records)) {
		return 0, fmt.Errorf("JetStream stored a batch of %d up to sequence %d", len(records), ack.Sequence)
	}
	return ack.Sequence, nil
}

// payloads opens the bucket of large bodies, and makes it if it is missing.
func (h *hub) payloads(ctx context.Context) (jetstream.ObjectStore, error) {
	return objects.Open(ctx, h.js, h.opts.Streams.PayloadConfig(h.jobs.CachedInfo().Config.MaxAge))
}
