package durables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// SinkConsumer returns the name of the durable consumer that hands the events of JOBS to a sink.
func SinkConsumer(sink string) string { return "receiver-sink-" + sink }

const (
	// MaxTaken is how many events Take may have handed out that are not done.
	MaxTaken = 64
	// takeWait is when the server hands out again what was neither done nor returned: another
	// process then takes over from one that was killed. Events in progress here are known.
	takeWait = 10 * time.Second
	// takeReset is when what the server in this process has not handed out again is not waited for
	// any more: the clock was ahead when it was handed out.
	takeReset = 15 * time.Second
	// takePause is the longest that one request for events waits.
	takePause = 5 * time.Second
)

// Take hands the events of a sink to hand, each once and in the order of the stream, until ctx is
// done or the consumer cannot be read. Filters are the subjects. A consumer that is not there
// begins with the next event, or with the oldest if oldest is set. Before each request room, which
// may wait, says how many events may come.
//
// One process at a time may call Take for a sink. Events that the one before it left come first. A
// caller that has ended calls Return for each event that is not done.
func (s *Set) Take(ctx context.Context, sink string, filters []string, oldest bool, room func(context.Context) int, hand func(job.Handed)) error {
	t := &taker{Set: s, open: map[uint64]bool{}, done: map[uint64]bool{}, hand: hand}
	cfg, err := s.takerConfig(ctx, sink, filters, oldest)
	if err != nil {
		return err
	}
	failed := func(err error) error {
		return fmt.Errorf("reading consumer %s of stream %s: %w", cfg.Durable, conn.JobsStream, err)
	}
	s.disown(cfg.Durable)
	if t.consumer, err = s.openDurable(ctx, conn.JobsStream, cfg); err != nil {
		return failed(err)
	}
	taking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	heeded := s.watchConsumer(conn.JobsStream, cfg, t.consumer, func() { stop(errRemade) })
	defer func() { heeded(ctx, err) }()
	clock := s.watchClock(func() { stop(errSetBack) })
	defer clock.stop()
	if err = t.leftovers(taking); err != nil {
		return failed(causeOr(taking, err))
	}
	for {
		n := room(taking)
		if taking.Err() != nil {
			return failed(context.Cause(taking))
		}
		err = t.fetch(taking, min(n, MaxTaken), t.take)
		if err != nil {
			return failed(causeOr(taking, err))
		}
	}
}

// errRemade ends the use of a consumer that Guard made again.
var errRemade = errors.New("the consumer was made again")

// errMissed ends a reading: newer events of the same job must not overtake the one that is missing.
var errMissed = errors.New("an event that the server handed out did not arrive")

// causeOr is why a context has ended, or else the error.
func causeOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// takerConfig is the consumer of a sink. One that is there keeps its beginning.
func (s *Set) takerConfig(ctx context.Context, sink string, filters []string, oldest bool) (jetstream.ConsumerConfig, error) {
	cfg := jetstream.ConsumerConfig{
		Durable: SinkConsumer(sink), Description: "posts events to a sink", FilterSubjects: filters,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: 1,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: takeWait, MaxAckPending: MaxTaken, MaxDeliver: -1, HeadersOnly: true,
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	stream, err := s.js.Stream(ctx, conn.JobsStream)
	if err != nil {
		return cfg, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, conn.JobsStream, err)
	}
	there, err := stream.Consumer(ctx, cfg.Durable)
	switch {
	case err == nil:
		cfg.OptStartSeq = max(there.CachedInfo().Config.OptStartSeq, 1)
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return cfg, fmt.Errorf("%w: asking for consumer %s: %v", conn.ErrUnavailable, cfg.Durable, err)
	case !oldest:
		cfg.OptStartSeq = stream.CachedInfo().State.LastSeq + 1
		s.log.Info().Str("sink", sink).Uint64("sequence", cfg.OptStartSeq).Msg("a new sink begins with the next event; earlier ones are not posted to it")
	}
	return cfg, nil
}

// taker is one use of Take.
type taker struct {
	*Set
	consumer  jetstream.Consumer
	hand      func(job.Handed)
	delivered uint64 // the consumer's count of what it handed out
	mu        sync.Mutex
	open      map[uint64]bool // handed out here and not done
	done      map[uint64]bool // the last that are done
}

// maxDone is how many events that are done are known, in case an acknowledgement is lost.
const maxDone = 4096

// leftovers hands out events that the one before had been handed and had not done. The server hands
// them out again by its own clock, and may give us newer events first; these must wait.
func (t *taker) leftovers(ctx context.Context) error {
	got := map[uint64]jetstream.Msg{}
	for began := time.Now(); ; {
		info, err := t.consumer.Info(ctx)
		if err != nil {
			return err
		}
		if len(got) == 0 {
			t.delivered = info.Delivered.Consumer
		}
		switch {
		case info.NumAckPending <= len(got):
			for _, seq := range slices.Sorted(maps.Keys(got)) {
				t.take(got[seq], seq)
			}
			return nil
		case t.local() && time.Since(began) > takeReset:
			if _, err := t.js.ResetConsumer(ctx, conn.JobsStream, info.Name); err != nil {
				return err
			}
			clear(got)
			continue
		}
		if err := t.fetch(ctx, info.NumAckPending-len(got), func(m jetstream.Msg, seq uint64) { got[seq] = m }); err != nil {
			return err
		}
	}
}

// take hands out one event, unless it was handed out here before.
func (t *taker) take(m jetstream.Msg, seq uint64) {
	t.mu.Lock()
	open, done := t.open[seq], t.done[seq]
	t.open[seq] = true
	t.mu.Unlock()
	switch {
	case open: // it takes longer than takeWait
	case done:
		_ = t.finish(m.Ack, seq) // the acknowledgement was lost; if this one is, too, it comes again
	default:
		t.hand(job.Handed{
			Subject: m.Subject(), Sequence: seq, Done: func() error { return t.finish(m.Ack, seq) }, Return: m.Nak,
		})
	}
}

func (t *taker) finish(ack func() error, seq uint64) error {
	t.mu.Lock()
	delete(t.open, seq)
	if len(t.done) >= maxDone {
		clear(t.done)
	}
	t.done[seq] = true
	t.mu.Unlock()
	return ack()
}

// fetch requests up to n events and gives those that come within a while to do.
func (t *taker) fetch(ctx context.Context, n int, do func(jetstream.Msg, uint64)) error {
	waiting, cancel := context.WithTimeout(ctx, takePause)
	defer cancel()
	batch, err := t.consumer.Fetch(n, jetstream.FetchContext(waiting), jetstream.FetchHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if t.delivered++; meta.Sequence.Consumer != t.delivered {
			return errMissed
		}
		do(m, meta.Sequence.Stream)
	}
	if err := batch.Error(); err != nil && waiting.Err() == nil {
		return err
	}
	return ctx.Err()
}
