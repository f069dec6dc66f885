package durables

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// The durable consumers that replicas share.
const (
	// WatchConsumer delivers the watches that are due.
	WatchConsumer = "receiver-watch"
	// ReactConsumer delivers the submissions on JOBS to the replicas that start watches.
	ReactConsumer = "receiver-react"
)

// The defaults of Watches and React.
const (
	defaultWorkers = 8
	defaultTimeout = 2 * time.Minute
)

// Watches hands each watch to do, at once and then each time after as long as do says,
// on any one of the replicas that call it. Zero means that the watch is over: it is
// removed. It returns with ctx, after the last do has returned, or when the stream
// cannot be read; calling it again goes on. When ctx ends, what do is doing then is left
// to another replica.
//
// This replica does at most so many at once as workers says; zero means 8. A watch
// that takes longer than timeout is given to another replica, since this one must have ended;
// timeout is the same for all replicas, and zero means 2 minutes.
func (s *Set) Watches(ctx context.Context, workers int, timeout time.Duration, do func(context.Context, job.Watch) time.Duration) error {
	return s.share(ctx, workers, conn.WatchStream, jetstream.ConsumerConfig{
		Durable: WatchConsumer, AckWait: timeout, Description: "asks the platform after jobs that have not ended",
	}, func(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata) (time.Duration, error) {
		watch, err := job.ParseWatch(msg.Subject(), msg.Data())
		if err != nil {
			return 0, err
		}
		watch.Sequence, watch.Handed = meta.Sequence.Stream, meta.NumDelivered
		return do(ctx, watch), nil
	})
}

// React hands every submitted event, without its data, to do, on any one of the replicas
// that call it, from the oldest on. The number says how often it was
// delivered, this time included; do returns after what time it wants it again, or zero if it is
// done. For the rest, see Watches.
func (s *Set) React(ctx context.Context, workers int, timeout time.Duration, do func(context.Context, job.Stored, uint64) time.Duration) error {
	cfg := jetstream.ConsumerConfig{
		Durable: ReactConsumer, AckWait: timeout, HeadersOnly: true,
		FilterSubjects: []string{job.Pattern("", "", job.Submitted)}, Description: "begins watches",
	}
	return s.share(ctx, workers, conn.JobsStream, cfg, func(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata) (time.Duration, error) {
		e, err := job.ParseEvent(msg.Subject(), msg.Headers(), nil)
		if err != nil {
			return 0, err
		}
		return do(ctx, job.Stored{Event: e, Sequence: meta.Sequence.Stream, Existed: true}, meta.NumDelivered), nil
	})
}

// task does what a message asks for and returns when it is wanted again. An error means
// that this program did not write the message.
type task func(context.Context, jetstream.Msg, *jetstream.MsgMetadata) (time.Duration, error)

// share works off a durable consumer together with all who call it.
func (s *Set) share(ctx context.Context, workers int, stream string, cfg jetstream.ConsumerConfig, do task) error {
	if workers == 0 {
		workers = defaultWorkers
	}
	if cfg.AckWait == 0 {
		cfg.AckWait = defaultTimeout
	}
	// A message that waits for its time counts as delivered, so their number has no limit.
	cfg.AckPolicy, cfg.MaxAckPending, cfg.MaxDeliver = jetstream.AckExplicitPolicy, -1, -1
	s.disown(cfg.Durable)
	consumer, err := s.consumer(ctx, stream, cfg)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("opening consumer %s of stream %s: %w", cfg.Durable, stream, err)
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(workers), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("reading consumer %s of stream %s: %w", cfg.Durable, stream, err)
	}
	var ended error
	heeded := s.watchConsumer(stream, cfg, consumer, it.Stop)
	defer func() { heeded(ctx, ended) }()
	defer context.AfterFunc(ctx, it.Drain)()
	clock := s.watchClock(it.Stop)
	defer clock.stop()
	var working sync.WaitGroup
	defer working.Wait()
	defer it.Stop()
	slots := make(chan struct{}, workers)
	for {
		slots <- struct{}{}
		msg, err := next(it)
		if ended = err; err != nil {
			if ctx.Err() != nil && errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return ctx.Err()
			}
			if clock.back.Load() {
				err = errSetBack
			}
			return fmt.Errorf("reading consumer %s of stream %s: %w", cfg.Durable, stream, err)
		}
		working.Go(func() {
			defer func() { <-slots }()
			s.perform(ctx, msg, do)
		})
	}
}

// heartbeat is how often the server tells that it waits for messages to hand out.
const heartbeat = time.Second

// next is the next message. When all that was asked for comes before the library has noted that
// it asked (checkPending and pullMessages of nats.go 1.55), it asks for no more until heartbeats
// are missing. That they are is an error only once it has asked again.
func next(it jetstream.MessagesContext) (jetstream.Msg, error) {
	msg, err := it.Next()
	if errors.Is(err, jetstream.ErrNoHeartbeat) {
		return it.Next()
	}
	return msg, err
}

// perform does one task and tells the server when it is wanted again. If that fails,
// the server delivers the task again after the consumer's AckWait.
func (s *Set) perform(ctx context.Context, msg jetstream.Msg, do task) {
	err := s.handle(ctx, msg, do)
	if err != nil {
		s.log.Warn().Err(err).Str("subject", msg.Subject()).Msg("acknowledging a message failed; its task is done again")
	}
}

func (s *Set) handle(ctx context.Context, msg jetstream.Msg, do task) error {
	if ctx.Err() != nil {
		return msg.Nak() // another replica takes it at once
	}
	var again time.Duration
	meta, err := msg.Metadata()
	if err == nil {
		again, err = do(ctx, msg, meta)
	}
	switch {
	case err != nil:
		s.log.Error().Err(err).Str("subject", msg.Subject()).Msg("the receiver skipped a message that it did not write")
		return msg.Term()
	case again <= 0:
		return msg.Ack()
	case ctx.Err() != nil:
		return msg.Nak()
	}
	return msg.NakWithDelay(again)
}
