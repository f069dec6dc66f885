package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// The durable consumers that replicas share.
const (
	// WatchConsumer hands out what is due on WATCH.
	WatchConsumer = "receiver-watch"
	// ReactConsumer hands out the submissions on JOBS to whoever begins to watch them.
	ReactConsumer = "receiver-react"
)

// The defaults of Watches and React.
const (
	defaultWorkers  = 8
	defaultPatience = 2 * time.Minute
)

// Watches hands each watch to do, at once and then each time after as long as do says,
// on any one of the replicas that call it. Zero means that the watch is over: it is
// removed. It returns with ctx, after the last do has returned, or when the stream
// cannot be read; calling it again goes on. When ctx ends, what do is doing then is left
// to another replica.
//
// This replica does at most so many at once as workers says; zero means 8. What took
// longer than patience is given to another, since this one must have died; patience is
// the same for all replicas, and zero means 2 minutes.
func (b *Bus) Watches(ctx context.Context, workers int, patience time.Duration, do func(context.Context, job.Watch) time.Duration) error {
	return b.share(ctx, workers, WatchStream, jetstream.ConsumerConfig{
		Durable: WatchConsumer, AckWait: patience, Description: "asks the platform after jobs that have not ended",
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
// that call it, from the first that there ever was. The number says how often it was
// handed out, this time included; do returns when it wants it again, or zero when it is
// done with it. As for the rest, see Watches.
func (b *Bus) React(ctx context.Context, workers int, patience time.Duration, do func(context.Context, job.Stored, uint64) time.Duration) error {
	cfg := jetstream.ConsumerConfig{
		Durable: ReactConsumer, AckWait: patience, HeadersOnly: true,
		FilterSubjects: []string{"jobs.*.*." + string(job.Submitted)}, Description: "begins watches",
	}
	return b.share(ctx, workers, JobsStream, cfg, func(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata) (time.Duration, error) {
		e, err := job.ParseEvent(msg.Subject(), msg.Headers(), nil)
		if err != nil {
			return 0, err
		}
		return do(ctx, job.Stored{Event: e, Sequence: meta.Sequence.Stream, Existed: true}, meta.NumDelivered), nil
	})
}

// task does what a message asks for and returns when it is wanted again. An error means
// that the message is none of ours.
type task func(context.Context, jetstream.Msg, *jetstream.MsgMetadata) (time.Duration, error)

// share works off a durable consumer together with all who call it.
func (b *Bus) share(ctx context.Context, workers int, stream string, cfg jetstream.ConsumerConfig, do task) error {
	if workers == 0 {
		workers = defaultWorkers
	}
	if cfg.AckWait == 0 {
		cfg.AckWait = defaultPatience
	}
	// What waits for its time counts as handed out, so there must be no limit to that.
	cfg.AckPolicy, cfg.MaxAckPending, cfg.MaxDeliver = jetstream.AckExplicitPolicy, -1, -1
	b.letGo(cfg.Durable)
	consumer, err := b.consumer(ctx, stream, cfg, do)
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
	heeded := b.heed(stream, cfg, consumer, it.Stop)
	defer func() { heeded(ctx, ended) }()
	defer context.AfterFunc(ctx, it.Drain)()
	clock := b.watchClock(it.Stop)
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
			b.perform(ctx, msg, do)
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

// perform does one task and tells the server when it is wanted again. When the server
// cannot be told, it hands the task out again after the consumer's patience.
func (b *Bus) perform(ctx context.Context, msg jetstream.Msg, do task) {
	err := b.settle(ctx, msg, do)
	if err != nil {
		b.opts.Log.Warn().Err(err).Str("subject", msg.Subject()).Msg("task not settled; it is done again")
	}
}

func (b *Bus) settle(ctx context.Context, msg jetstream.Msg, do task) error {
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
		b.opts.Log.Error().Err(err).Str("subject", msg.Subject()).Msg("message that is none of ours; left aside")
		return msg.Term()
	case again <= 0:
		return msg.Ack()
	case ctx.Err() != nil:
		return msg.Nak()
	}
	return msg.NakWithDelay(again)
}
