package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"receiver/internal/job"
)

// briefBatch is how many events Briefs gives at once at most.
const briefBatch = 512

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
	asking, cancel := b.bound(ctx)
	end, err := b.LastSequence(asking, JobsStream)
	cancel()
	if err != nil {
		return 0, err
	}
	return gathered(yield, func(each func(Message) error) error {
		return scan(ctx, b.js, JobsStream, readFrom{Position: Position{Sequence: max(from, 1)}, bare: true}, end, each)
	})
}

// briefsOfFiles is briefs where the server's files are on this machine.
func (b *Bus) briefsOfFiles(ctx context.Context, from uint64, yield func([]job.Brief, error) bool) (last uint64, err error) {
	info, err := b.jobs.Info(ctx)
	if err != nil {
		return 0, err
	}
	return gathered(yield, func(each func(Message) error) error {
		return b.Lines(ctx, JobsStream, max(from, 1), info.State.LastSeq, each)
	})
}

// gathered gives the events that read reads, in batches, and returns the sequence of the last
// message.
func gathered(yield func([]job.Brief, error) bool, read func(each func(Message) error) error) (last uint64, err error) {
	var batch []job.Brief
	err = read(func(m Message) error {
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
