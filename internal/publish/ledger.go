package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// briefBatch is how many events Briefs gives at once at most, and briefBuffer how many
// the server may be ahead of us.
const (
	briefBatch  = 512
	briefBuffer = 64 * briefBatch
	// briefPatience is how long the server keeps the consumer of a reader that is gone.
	briefPatience = 30 * time.Second
)

// Briefs gives the events of JOBS in order, from that sequence on, in batches, read from
// their headers alone; a batch is the caller's. It ends with the last that was there
// when it was called, or, when it follows, with ctx. What is no event of a job is left
// out. When it follows, a brief of the sequence zero announces a submission that somebody
// is storing, if that can be told; it comes again with its sequence when it is stored.
func (b *Bus) Briefs(ctx context.Context, from uint64, follow bool) iter.Seq2[[]job.Brief, error] {
	return func(yield func([]job.Brief, error) bool) {
		var err error
		if follow {
			err = b.follow(ctx, from, yield)
		} else {
			_, err = b.briefs(ctx, from, yield)
		}
		if err != nil && ctx.Err() == nil {
			yield(nil, fmt.Errorf("reading the headers of stream %s: %w", JobsStream, err))
		}
	}
}

// briefs gives the events from that sequence on to the last that there is, and returns the
// sequence of the last message that it read, 0 if there was none.
func (b *Bus) briefs(ctx context.Context, from uint64, yield func([]job.Brief, error) bool) (last uint64, err error) {
	if _, here := b.blocksOf(JobsStream); here {
		return b.briefsOfFiles(ctx, from, yield)
	}
	cfg := jetstream.OrderedConsumerConfig{HeadersOnly: true, InactiveThreshold: briefPatience}
	if from > 1 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from
	}
	consumer, err := b.jobs.OrderedConsumer(ctx, cfg)
	if err != nil {
		return 0, err
	}
	// The library leaves it to the server, for minutes, and who follows makes many.
	defer func() {
		removing, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.opts.Timeout)
		defer cancel()
		_ = b.jobs.DeleteConsumer(removing, consumer.CachedInfo().Name) // else it goes by itself
	}()
	if consumer.CachedInfo().NumPending == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader := &briefReader{batches: make(chan briefs, 4), stop: ctx.Done()}
	reading, err := consumer.Consume(reader.take, jetstream.PullMaxMessages(briefBuffer))
	if err != nil {
		return 0, err
	}
	defer reading.Stop()
	last, drained, err := reader.give(ctx, consumer, yield)
	if err != nil || !drained {
		return last, err
	}
	reading.Drain()
	select {
	case <-reading.Closed():
	case <-ctx.Done():
		return last, ctx.Err()
	}
	left := []briefs{reader.batch}
	for len(reader.batches) > 0 { // what came after the look
		left = slices.Insert(left, len(left)-1, <-reader.batches)
	}
	for _, got := range left {
		last = max(last, got.last)
		if len(got.events) > 0 && !yield(got.events, nil) {
			break
		}
	}
	return last, nil
}

// briefsOfFiles is briefs where the server's files are on this machine.
func (b *Bus) briefsOfFiles(ctx context.Context, from uint64, yield func([]job.Brief, error) bool) (last uint64, err error) {
	info, err := b.jobs.Info(ctx)
	if err != nil {
		return 0, err
	}
	var batch []job.Brief
	err = b.Lines(ctx, JobsStream, max(from, 1), info.State.LastSeq, func(m Message) error {
		last = m.Sequence
		e, err := briefOf(m)
		if err != nil {
			return nil // no event of a job
		}
		if batch == nil {
			batch = make([]job.Brief, 0, briefBatch)
		}
		batch = append(batch, e)
		if len(batch) < briefBatch {
			return nil
		}
		if !yield(batch, nil) {
			return errEnough
		}
		batch = nil
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return last, nil
	case err != nil:
		return last, err
	case len(batch) > 0:
		yield(batch, nil)
	}
	return last, nil
}

func briefOf(m Message) (e job.Brief, err error) {
	if m.Lines != nil {
		e, err = job.ReadBriefLines(m.Subject, m.Lines)
	} else {
		e, err = job.ReadBrief(m.Subject, m.Header)
	}
	e.Sequence = m.Sequence
	return e, err
}

// briefs is a batch of events and the sequence of the last message read for it; end is true
// when that is the end of the stream.
type briefs struct {
	events []job.Brief
	last   uint64
	end    bool
}

// briefReader gathers what the connection's goroutine delivers.
type briefReader struct {
	batch   briefs
	batches chan briefs
	stop    <-chan struct{}
}

func (r *briefReader) take(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return // no message of a stream
	}
	if e, err := job.ReadBrief(msg.Subject(), msg.Headers()); err == nil {
		e.Sequence = meta.Sequence.Stream
		if r.batch.events == nil {
			r.batch.events = make([]job.Brief, 0, min(briefBatch, meta.NumPending+1))
		}
		r.batch.events = append(r.batch.events, e)
	}
	r.batch.last, r.batch.end = meta.Sequence.Stream, meta.NumPending == 0
	if len(r.batch.events) < briefBatch && !r.batch.end {
		return
	}
	select {
	case r.batches <- r.batch:
		r.batch = briefs{}
	case <-r.stop:
	}
}

// give hands the batches on. When nothing comes it looks whether the end was reached, as
// the last messages of a stream may go while it is read; then it reports true, and what is
// left is in the reader.
func (r *briefReader) give(ctx context.Context, consumer jetstream.Consumer, yield func([]job.Brief, error) bool) (last uint64, drained bool, err error) {
	for {
		select {
		case got := <-r.batches:
			last = got.last
			if len(got.events) > 0 && !yield(got.events, nil) || got.end {
				return last, false, nil
			}
		case <-time.After(endPause):
			info, err := consumer.Info(ctx)
			if err != nil {
				return last, false, err
			}
			if info.NumPending == 0 && len(r.batches) == 0 {
				return last, true, nil
			}
		case <-ctx.Done():
			return last, false, ctx.Err()
		}
	}
}
