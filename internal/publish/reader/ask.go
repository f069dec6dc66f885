package reader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// Ask is a question for one message: that with a sequence, the first on a subject from a
// sequence on, or the last on a subject.
type Ask struct {
	Seq  uint64 `json:"seq,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
	Last string `json:"last_by_subj,omitempty"`
}

// AllSubjects is the subject that every message is on.
const AllSubjects = ">"

// messageTimeout is how long the leader may take to give one message.
const messageTimeout = 10 * time.Second

// AskLeader asks the leader of a stream for a message; nil if there is none. The library would ask
// any replica of a stream that allows it, or a mirror of another client, and takes a header Status
// of the message for an answer.
func AskLeader(ctx context.Context, js jetstream.JetStream, stream string, ask Ask) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, messageTimeout)
	defer cancel()
	request, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	subject := conn.Options{Domain: js.Options().Domain}.API("STREAM.MSG.GET." + stream)
	answer, err := js.Conn().RequestWithContext(ctx, subject, request)
	if err != nil {
		return nil, fmt.Errorf("%w; allow the user of this program to publish on %s", err, subject)
	}
	var body struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &body); err != nil {
		return nil, err
	}
	if body.Error != nil && body.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
		return nil, nil
	}
	if body.Error != nil {
		return nil, body.Error
	}
	if m := body.Message; m == nil || m.Sequence < ask.Seq {
		return nil, fmt.Errorf("the server gave no valid answer for a message of stream %s from sequence %d on", stream, ask.Seq)
	}
	m := body.Message
	raw := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Sequence, Data: m.Data, Time: m.Time}
	if header, err := nats.DecodeHeadersMsg(m.Header); err == nil { // else it has none, as one that is delivered
		raw.Header = header
	}
	return raw, nil
}

// FirstOf returns the first message of a stream on a subject from a sequence on; nil if there
// is none. The leader is asked only where the library has no message: for its own word, be it
// the message's, there may be one.
func FirstOf(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, from uint64, subject string) (*jetstream.RawStreamMsg, error) {
	raw, err := stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
	if err != nil && ctx.Err() == nil {
		return AskLeader(ctx, js, stream.CachedInfo().Config.Name, Ask{Seq: from, Next: subject})
	}
	return raw, err
}

// errNoBatches is returned if requests for several messages are not answered: by servers before
// 2.11, for streams without allow_direct, and where the user may not ask.
var errNoBatches = errors.New("the server does not answer requests for several messages")

// askAny asks for messages from a sequence on by one request, which whatever replica is next
// answers. They may have gaps, but are in order. With an error, those that came before it stand.
//
// NATS ADR-31, "Batched requests".
func askAny(ctx context.Context, js jetstream.JetStream, stream string, from, most uint64, bytes int) ([]*jetstream.RawStreamMsg, error) {
	sub, err := direct(js, stream, struct {
		From  uint64 `json:"seq"`
		Most  uint64 `json:"batch"`
		Bytes int    `json:"max_bytes"`
	}{from, most, bytes})
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // it fails only on a closed connection
	a := answers{stream: stream, next: from, left: most, bytes: bytes, all: make([]*jetstream.RawStreamMsg, 0, min(most, rangeBatch))}
	rest, cancel := context.WithTimeout(ctx, messageTimeout)
	defer cancel()
	first, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	for waiting := first; ; waiting = rest {
		m, err := sub.NextMsgWithContext(waiting)
		if len(a.all) == 0 && ctx.Err() == nil && (errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded)) {
			return nil, errNoBatches
		}
		if err != nil {
			return a.all, err
		}
		if done, err := a.take(m); done || err != nil {
			return a.all, err
		}
	}
}

// LastOf calls yield with the last message of a stream on each subject that holds one, by one
// request, which whatever replica is next answers. Before leaves out what was stored later; zero
// leaves out nothing. A message's headers say more of it than its own.
//
// NATS ADR-31, "Multi-subject requests".
func LastOf(ctx context.Context, js jetstream.JetStream, stream string, subjects []string, before time.Time, yield func(*nats.Msg)) error {
	sub, err := direct(js, stream, struct {
		Subjects []string  `json:"multi_last"`
		Before   time.Time `json:"up_to_time,omitzero"`
	}{subjects, before.UTC()})
	if err != nil {
		return err
	}
	defer sub.Unsubscribe() //nolint:errcheck // it fails only on a closed connection
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		if m.Header.Get(jetstream.SubjectHeader) == "" {
			return nil // 204 after the last, 404 if there is none
		}
		yield(m) // even one that has a status of its own
	}
}

// LastAction returns the newest action of some kinds that was stored before a time; false if there
// is none, or nothing answers.
func LastAction(ctx context.Context, js jetstream.JetStream, subjects []string, before time.Time) (a job.Action, found bool) {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	err := LastOf(ctx, js, conn.ActionsStream, subjects, before, func(m *nats.Msg) {
		if last, err := job.ParseAction(m.Header.Get(jetstream.SubjectHeader), m.Data); err == nil {
			a, found = last, true // they come in the order of the stream
		}
	})
	return a, found && err == nil
}

// direct sends a request that any replica may answer by several messages, and returns where they
// come in.
func direct(js jetstream.JetStream, stream string, request any) (*nats.Subscription, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	nc := js.Conn()
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	if err := nc.PublishRequest(conn.Options{Domain: js.Options().Domain}.API("DIRECT.GET."+stream), inbox, body); err != nil {
		_ = sub.Unsubscribe() // it fails only on a closed connection
		return nil, err
	}
	return sub, nil
}

// firstTimeout is how long the first message of a batch may take. The server does not
// answer a user who may not request batches.
const firstTimeout = 2 * time.Second

// answers are the answers to a request for several messages. Any client of the account that learns
// of the inbox may answer: an answer that cannot be the stream's is an error, and all answers to
// the request are dropped. The caller finds messages that are left out.
type answers struct {
	stream string
	next   uint64 // no message before it is due
	left   uint64 // how many more may come
	bytes  int    // that all but the last may have
	size   int
	all    []*jetstream.RawStreamMsg // in order, and maybe with gaps
}

// errForeign is returned for an answer that the stream does not give.
var errForeign = errors.New("another client answers for the stream")

// take takes an answer, and reports whether it was the last.
func (a *answers) take(m *nats.Msg) (done bool, err error) {
	status := m.Header.Get("Status")
	raw, stream, inBatch := batched(m)
	switch {
	case raw == nil && status == "":
		err = errForeign
	case raw == nil:
		return true, nil // 204 after the last, 404 if there is none
	case !inBatch:
		err = errNoBatches // it is from before 2.11, and answers with one
	case stream != a.stream:
		err = fmt.Errorf("%w: %s answers for %s", errForeign, stream, a.stream) // as a mirror does, which may have been changed
	case raw.Sequence < a.next:
		err = fmt.Errorf("%w %s: got sequence %d, want %d", errForeign, a.stream, raw.Sequence, a.next)
	case a.left == 0 || a.size >= a.bytes:
		err = fmt.Errorf("%w %s: got more messages than requested", errForeign, a.stream)
	}
	if err != nil {
		a.all = nil
		return true, err
	}
	a.all = append(a.all, raw)
	a.size += len(raw.Subject) + len(raw.Data)
	a.next, a.left = raw.Sequence+1, a.left-1
	return a.next == 0, nil
}

// batched reads a message that answers a direct request: what it says of itself stands in
// headers behind its own. It is nil if it is none; inBatch is false if it came alone.
func batched(m *nats.Msg) (raw *jetstream.RawStreamMsg, stream string, inBatch bool) {
	raw = &jetstream.RawStreamMsg{Header: m.Header, Data: m.Data}
	raw.Subject = cutLast(m.Header, jetstream.SubjectHeader)
	seq, err := strconv.ParseUint(cutLast(m.Header, jetstream.SequenceHeader), 10, 64)
	if err != nil || seq == 0 || raw.Subject == "" {
		return nil, "", false
	}
	if raw.Time, err = time.Parse(time.RFC3339Nano, cutLast(m.Header, jetstream.TimeStampHeaer)); err != nil {
		return nil, "", false
	}
	stream = cutLast(m.Header, jetstream.StreamHeader)
	cutLast(m.Header, jetstream.LastSequenceHeader)
	raw.Sequence, inBatch = seq, cutLast(m.Header, pendingHeader) != ""
	if len(raw.Header) == 0 {
		raw.Header = nil
	}
	return raw, stream, inBatch
}

// pendingHeader says how many messages follow in the stream.
const pendingHeader = "Nats-Num-Pending"

// cutLast takes the last value of a header away, and returns it: those before are the message's.
func cutLast(h nats.Header, name string) string {
	values := h[name]
	if len(values) == 0 {
		return ""
	}
	last := len(values) - 1
	value := values[last]
	if last == 0 {
		delete(h, name)
	} else {
		h[name] = values[:last]
	}
	return value
}

// eachAtOnce is how many messages the leader is asked for at the same time.
const eachAtOnce = 16

// each asks the leader for each of the messages that come next.
func (r *cursor) each(ctx context.Context, n uint64) (all []*jetstream.RawStreamMsg, err error) {
	got, failed := make([]*jetstream.RawStreamMsg, n), make([]error, n)
	var asking sync.WaitGroup
	for i := range n {
		asking.Go(func() { got[i], failed[i] = AskLeader(ctx, r.js, r.stream, Ask{Seq: r.at + i}) })
	}
	asking.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("%w: reading stream %s: %w", conn.ErrUnavailable, r.stream, err)
	}
	due := r.at
	for _, m := range got {
		if m != nil && m.Sequence != due {
			return nil, fmt.Errorf("%w: stream %s: got sequence %d, want %d", ErrStalled, r.stream, m.Sequence, due)
		}
		if m != nil {
			all = append(all, m)
		}
		due++
	}
	return all, nil
}
