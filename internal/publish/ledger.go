package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	var batch []job.Brief
	reader, pending, err := newReader(ctx, b.js, b.jobs, briefBuffer, jetstream.OrderedConsumerConfig{
		HeadersOnly: true, OptStartSeq: from, InactiveThreshold: briefPatience,
	})
	if err != nil {
		return 0, err
	}
	// The library leaves it to the server, for minutes, and who follows makes many.
	defer func() {
		removing, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.opts.Timeout)
		defer cancel()
		reader.remove(removing)
	}()
	for pending > 0 {
		msg, err := reader.next(ctx)
		if err != nil {
			return last, err
		}
		if msg == nil {
			break
		}
		meta, err := msg.Metadata()
		if err != nil {
			return last, err
		}
		last, pending = meta.Sequence.Stream, meta.NumPending
		if e, err := job.ReadBrief(msg.Subject(), msg.Headers()); err == nil {
			e.Sequence = last
			if batch == nil {
				batch = make([]job.Brief, 0, min(briefBatch, pending+1))
			}
			batch = append(batch, e)
		}
		if len(batch) == briefBatch {
			if !yield(batch, nil) {
				return last, nil
			}
			batch = nil
		}
	}
	if len(batch) > 0 {
		yield(batch, nil)
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
