package publish

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
)

// leaderAsk is a question for one message: that with a sequence, the first on a subject from a
// sequence on, or the last on a subject.
type leaderAsk struct {
	Seq  uint64 `json:"seq,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
	Last string `json:"last_by_subj,omitempty"`
}

// allSubjects is the subject that every message is on.
const allSubjects = ">"

// makeUpPatience is how long the leader may take to give one message.
const makeUpPatience = 10 * time.Second

// sizeHeader is where it stands how much was left out of a message.
const sizeHeader = "Nats-Msg-Size"

// askLeader asks the leader of a stream for a message; nil if there is none. The library would
// ask any replica of a stream that allows it, or a mirror that somebody made, and takes a header
// Status of the message for an answer.
func askLeader(ctx context.Context, js jetstream.JetStream, stream string, ask leaderAsk) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, makeUpPatience)
	defer cancel()
	request, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	subject := Options{Domain: js.Options().Domain}.api("STREAM.MSG.GET." + stream)
	answer, err := js.Conn().RequestWithContext(ctx, subject, request)
	if err != nil {
		return nil, fmt.Errorf("%w; a user with permissions needs that to publish on %s", err, subject)
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
		return nil, fmt.Errorf("the answer for a message of stream %s from %d on is none", stream, ask.Seq)
	}
	m := body.Message
	raw := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Sequence, Data: m.Data, Time: m.Time}
	if header, err := nats.DecodeHeadersMsg(m.Header); err == nil { // else it has none, as one that is delivered
		raw.Header = header
	}
	return raw, nil
}

// firstOf returns the first message of a stream on a subject from a sequence on; nil if there
// is none. The leader is asked only where the library has no message: for its own word, be it
// the message's, there may be one.
func firstOf(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, from uint64, subject string) (*jetstream.RawStreamMsg, error) {
	raw, err := stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
	if err != nil && ctx.Err() == nil {
		return askLeader(ctx, js, stream.CachedInfo().Config.Name, leaderAsk{Seq: from, Next: subject})
	}
	return raw, err
}

// errNoBatches is returned where nobody answers requests for several messages: by servers before
// 2.11, and for streams without allow_direct.
var errNoBatches = errors.New("requests for several messages are not answered")

// askAny asks for messages from a sequence on by one request, which whatever replica is next
// answers. They may have gaps, but are in order. With an error, those that came before it stand.
//
// NATS ADR-31, "Batched requests".
func askAny(ctx context.Context, js jetstream.JetStream, stream string, from, most uint64) (all []*jetstream.RawStreamMsg, err error) {
	request, err := json.Marshal(struct {
		From  uint64 `json:"seq"`
		Most  uint64 `json:"batch"`
		Bytes int    `json:"max_bytes"`
	}{from, most, maxBatchBytes})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, makeUpPatience)
	defer cancel()
	nc := js.Conn()
	inbox := nc.NewRespInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer answers.Unsubscribe() //nolint:errcheck // it fails only on a closed connection
	if err := nc.PublishRequest(Options{Domain: js.Options().Domain}.api("DIRECT.GET."+stream), inbox, request); err != nil {
		return nil, err
	}
	all = make([]*jetstream.RawStreamMsg, 0, min(most, rangeBatch))
	for next, left := from, most; ; {
		m, err := answers.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrNoResponders) && len(all) == 0 {
			return nil, errNoBatches
		}
		if err != nil {
			return all, err
		}
		raw, inBatch, ok := batched(m)
		switch {
		case ok && !inBatch:
			return nil, errNoBatches // it is from before 2.11, and answers with one
		case ok && (raw.Sequence < next || left == 0):
			return nil, fmt.Errorf("sequence %d came where %d was due: somebody else answers for stream %s", raw.Sequence, next, stream)
		case ok:
			all = append(all, raw)
			next, left = raw.Sequence+1, left-1
		case m.Header.Get("Status") != "":
			return all, nil // 204 after the last, 404 if there is none
		}
	}
}

// batched reads a message that answers a direct request: what it says of itself stands in
// headers behind its own. ok is false if it is none, and inBatch if it came alone.
func batched(m *nats.Msg) (raw *jetstream.RawStreamMsg, inBatch, ok bool) {
	raw = &jetstream.RawStreamMsg{Header: m.Header, Data: m.Data}
	raw.Subject = cutLast(m.Header, jetstream.SubjectHeader)
	seq, err := strconv.ParseUint(cutLast(m.Header, jetstream.SequenceHeader), 10, 64)
	if err != nil || raw.Subject == "" {
		return nil, false, false
	}
	if raw.Time, err = time.Parse(time.RFC3339Nano, cutLast(m.Header, jetstream.TimeStampHeaer)); err != nil {
		return nil, false, false
	}
	cutLast(m.Header, jetstream.StreamHeader)
	cutLast(m.Header, jetstream.LastSequenceHeader)
	raw.Sequence, inBatch = seq, cutLast(m.Header, pendingHeader) != ""
	if len(raw.Header) == 0 {
		raw.Header = nil
	}
	return raw, inBatch, true
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
func (r *reader) each(ctx context.Context, n uint64) (all []*jetstream.RawStreamMsg, err error) {
	got, failed := make([]*jetstream.RawStreamMsg, n), make([]error, n)
	var asking sync.WaitGroup
	for i := range n {
		asking.Go(func() { got[i], failed[i] = askLeader(ctx, r.js, r.stream, leaderAsk{Seq: r.at + i}) })
	}
	asking.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("%w: reading stream %s: %w", ErrUnavailable, r.stream, err)
	}
	due := r.at
	for _, m := range got {
		if m != nil && m.Sequence != due {
			return nil, fmt.Errorf("%w: stream %s gives sequence %d for %d", ErrStalled, r.stream, m.Sequence, due)
		}
		if m != nil {
			all = append(all, m)
		}
		due++
	}
	return all, nil
}

// asked is a message that was asked for, with as much of a jetstream.Msg as a task needs.
type asked struct {
	jetstream.Msg
	raw *jetstream.RawStreamMsg
}

// Subject implements jetstream.Msg, as do Headers and Data.
func (a asked) Subject() string { return a.raw.Subject }

// Headers are those of the message.
func (a asked) Headers() nats.Header { return a.raw.Header }

// Data is that of the message.
func (a asked) Data() []byte { return a.raw.Data }
