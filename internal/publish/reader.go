package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reader reads the messages of a stream in their order, by a consumer of its own.
//
// The client library takes a message without data that has a header Status for a word of the
// server's to itself: it is not handed over, and may end the reading. Anybody who may publish
// can store one. So the reader counts what the consumer says that it has delivered, and asks
// the leader for what did not come; where the reading ends it asks for one message and goes
// on behind it.
type reader struct {
	js       jetstream.JetStream
	stream   jetstream.Stream
	cfg      jetstream.ConsumerConfig
	batch    int // asked for at once
	consumer jetstream.Consumer
	it       jetstream.MessagesContext // nil if it has to be opened
	last     uint64                    // sequence of the last message given, or passed
	counted  uint64                    // messages of this consumer that came, or are made up for
	missing  uint64                    // up to this sequence the leader is asked; 0 if nothing is missing
	held     jetstream.Msg             // came behind what is missing
	detour   int                       // how many messages the leader is asked for before it goes on
	ended    func() bool               // takes back that the end of the context stops it
}

// readerPatience is how long the server keeps the consumer of a reader that is gone.
const readerPatience = 5 * time.Minute

// newReader begins a reading, which ends with ctx: of subjects, if there are any, and from a
// sequence or else a time on. It returns how many messages there are to read.
func newReader(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, batch int, o jetstream.OrderedConsumerConfig) (*reader, uint64, error) {
	cfg := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(o.OptStartSeq, 1), AckPolicy: jetstream.AckNonePolicy,
		HeadersOnly: o.HeadersOnly, FilterSubjects: o.FilterSubjects, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: cmp.Or(o.InactiveThreshold, readerPatience),
	}
	if o.OptStartTime != nil {
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, o.OptStartTime
	}
	if len(cfg.FilterSubjects) == 1 { // whose permission can be given for that subject alone
		cfg.FilterSubject, cfg.FilterSubjects = cfg.FilterSubjects[0], nil
	}
	r := &reader{js: js, stream: stream, cfg: cfg, batch: batch}
	if err := r.create(ctx); err != nil {
		return nil, 0, err
	}
	return r, r.consumer.CachedInfo().NumPending, nil
}

// create makes a consumer of what comes next.
func (r *reader) create(ctx context.Context) (err error) {
	if r.last > 0 {
		r.cfg.DeliverPolicy, r.cfg.OptStartSeq, r.cfg.OptStartTime = jetstream.DeliverByStartSequencePolicy, r.last+1, nil
	}
	if r.consumer, err = r.stream.CreateConsumer(ctx, r.cfg); err != nil {
		return err
	}
	r.last, r.counted = max(r.last, r.consumer.CachedInfo().Delivered.Stream), 0
	return nil
}

// open begins to iterate, over another consumer if the one before has ended.
func (r *reader) open(ctx context.Context) (err error) {
	if r.consumer == nil {
		err = r.create(ctx)
	}
	if err == nil {
		r.it, err = r.consumer.Messages(jetstream.PullMaxMessages(r.batch))
	}
	if err != nil {
		r.consumer = nil
		return fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	r.ended = context.AfterFunc(ctx, r.it.Stop)
	return nil
}

// stop ends the reading. The consumer goes by itself.
func (r *reader) stop() {
	if r.it != nil {
		r.ended()
		r.it.Stop()
		r.it = nil
	}
}

// remove is stop that does not leave the consumer to go by itself, if it can.
func (r *reader) remove(ctx context.Context) {
	r.stop()
	if r.consumer != nil {
		_ = r.stream.DeleteConsumer(ctx, r.consumer.CachedInfo().Name)
	}
}

// next returns the next message, or nil when there is none.
func (r *reader) next(ctx context.Context) (jetstream.Msg, error) {
	none := 0
	for tries := range stallLimit {
		msg, err := r.madeUp(ctx)
		if msg == nil && err == nil {
			msg, err = r.delivered(ctx, endPause)
		}
		if msg != nil || err != nil && !errors.Is(err, errQuiet) {
			return msg, err
		}
		if err == nil {
			continue // something is missing
		}
		pending, err := r.look(ctx)
		if err != nil {
			return nil, err
		}
		if pending > 0 && tries%silenceLimit == silenceLimit-1 {
			r.broken()
		}
		if pending > 0 || r.missing > 0 {
			continue
		}
		if none++; none > 1 { // what was sent before the first answer has come before it
			return nil, nil
		}
	}
	return nil, ErrStalled
}

// silenceLimit is how many times endPause the consumer may deliver nothing of what there is
// before the leader is asked: a message can keep the library from asking for more.
const silenceLimit = 4

// follow is next for who waits for what comes.
func (r *reader) follow(ctx context.Context) (jetstream.Msg, error) {
	for {
		msg, err := r.madeUp(ctx)
		if msg == nil && err == nil {
			msg, err = r.delivered(ctx, followPause)
		}
		if errors.Is(err, errQuiet) {
			var pending uint64
			if pending, err = r.look(ctx); pending > 0 {
				r.broken()
			}
		}
		switch {
		case msg != nil:
			return msg, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && (r.js.Conn().IsClosed() || pause(ctx, endPause) != nil):
			return nil, err
		}
	}
}

// followPause is how long one who follows waits before the server is asked whether what it
// sent has come.
const followPause = 5 * time.Second

// errQuiet is returned when nothing came for a while.
var errQuiet = errors.New("nothing came")

// delivered returns what the consumer delivers next; nothing if there was something before
// it that did not come.
func (r *reader) delivered(ctx context.Context, wait time.Duration) (jetstream.Msg, error) {
	if r.it == nil {
		if err := r.open(ctx); err != nil {
			return nil, err
		}
	}
	for {
		msg, err := r.it.Next(jetstream.NextMaxWait(wait))
		switch {
		case errors.Is(err, nats.ErrTimeout):
			return nil, errQuiet
		case err != nil && (ctx.Err() != nil || r.js.Conn().IsClosed()):
			return nil, fmt.Errorf("%w: %v", ErrUnavailable, errors.Join(err, context.Cause(ctx)))
		case err != nil:
			r.broken()
			return nil, nil
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		before := r.counted
		r.counted = meta.Sequence.Consumer
		switch {
		case meta.Sequence.Stream <= r.last:
			continue // it was made up for
		case meta.Sequence.Consumer > before+1:
			r.missing, r.held = meta.Sequence.Stream, msg
			return nil, nil
		}
		r.last = meta.Sequence.Stream
		return msg, nil
	}
}

// broken notes that the iteration has ended, or has to: by the server, or by a message.
func (r *reader) broken() {
	r.stop()
	r.consumer, r.detour = nil, detourLength
}

// detourLength is how many messages are asked for one by one before another consumer is
// made: many that stand together may each end one.
const detourLength = 64

// madeUp returns the next message that is missing, or the one that came behind it; nil if
// nothing is missing.
func (r *reader) madeUp(ctx context.Context) (jetstream.Msg, error) {
	if r.missing == 0 && r.detour == 0 {
		return nil, nil
	}
	msg, err := r.ask(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case msg == nil:
		r.detour = 0
	case r.detour > 0:
		r.detour--
		r.last = msg.sequence()
		return msg, nil
	case msg.sequence() < r.missing, msg.sequence() == r.missing && r.held == nil:
		r.last = msg.sequence()
		return msg, nil
	}
	held := r.held
	if held != nil {
		r.last = r.missing
	}
	r.missing, r.held = 0, nil
	return held, nil
}

// look asks the server what it has sent, when nothing comes, and how much is to come.
func (r *reader) look(ctx context.Context) (pending uint64, err error) {
	if r.it == nil {
		return 0, nil
	}
	info, err := r.consumer.Info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		r.broken()
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	if info.Delivered.Consumer > r.counted { // on its way, or not handed over
		r.counted, r.missing = info.Delivered.Consumer, info.Delivered.Stream
	}
	return info.NumPending, nil
}

// ask asks the leader for the first message behind the last; nil if there is none.
func (r *reader) ask(ctx context.Context) (first *asked, err error) {
	subjects := r.cfg.FilterSubjects
	switch {
	case r.cfg.FilterSubject != "":
		subjects = []string{r.cfg.FilterSubject}
	case len(subjects) == 0:
		subjects = []string{">"}
	}
	for _, subject := range subjects {
		msg, err := r.askFor(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
		}
		if first == nil || msg != nil && msg.sequence() < first.sequence() {
			first = msg
		}
	}
	return first, nil
}

func (r *reader) askFor(ctx context.Context, subject string) (*asked, error) {
	ctx, cancel := context.WithTimeout(ctx, makeUpPatience)
	defer cancel()
	stream := r.stream.CachedInfo().Config.Name
	raw, err := askLeader(ctx, r.js, stream, r.last+1, subject)
	if raw == nil || err != nil {
		return nil, err
	}
	m := &asked{msg: nats.Msg{Subject: raw.Subject, Header: raw.Header, Data: raw.Data}}
	m.meta.Sequence.Stream, m.meta.Timestamp, m.meta.Stream = raw.Sequence, raw.Time, stream
	m.meta.NumPending = 1 // at the least, for all that is known
	if r.cfg.HeadersOnly {
		if m.msg.Header == nil {
			m.msg.Header = nats.Header{}
		}
		m.msg.Header[sizeHeader], m.msg.Data = []string{strconv.Itoa(len(m.msg.Data))}, nil
	}
	return m, nil
}

// askLeader asks the leader of a stream for the first message on a subject from a sequence on;
// nil if there is none. The library would ask any replica of a stream that allows it, and takes
// a header Status of the message for an answer.
func askLeader(ctx context.Context, js jetstream.JetStream, stream string, from uint64, subject string) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(struct {
		Seq  uint64 `json:"seq"`
		Next string `json:"next_by_subj"`
	}{from, subject})
	if err != nil {
		return nil, err
	}
	answer, err := js.Conn().RequestWithContext(ctx, Options{Domain: js.Options().Domain}.api("STREAM.MSG.GET."+stream), request)
	if err != nil {
		return nil, err
	}
	var body struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
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
		return askLeader(ctx, js, stream.CachedInfo().Config.Name, from, subject)
	}
	return raw, err
}

// makeUpPatience is how long the leader may take to give one message.
const makeUpPatience = 10 * time.Second

// sizeHeader is where the server says how much it left out of a message.
const sizeHeader = "Nats-Msg-Size"

// asked is a message that was asked for, with as much of a jetstream.Msg as readers need.
type asked struct {
	jetstream.Msg
	msg  nats.Msg
	meta jetstream.MsgMetadata
}

func (a *asked) sequence() uint64 { return a.meta.Sequence.Stream }

// Metadata implements jetstream.Msg, as do Subject, Headers and Data.
func (a *asked) Metadata() (*jetstream.MsgMetadata, error) { return &a.meta, nil }

// Subject is that of the message.
func (a *asked) Subject() string { return a.msg.Subject }

// Headers are those of the message.
func (a *asked) Headers() nats.Header { return a.msg.Header }

// Data is that of the message.
func (a *asked) Data() []byte { return a.msg.Data }
