package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/objects"
	"receiver/internal/publish/reader"
)

// briefBatch is the largest batch that Briefs yields.
const briefBatch = 512

// Briefs yields the events of JOBS in order, from a sequence on, in batches, read from their
// headers alone; the caller may keep a batch. It ends with the last event at the time of the call,
// or, with follow, with ctx. It leaves out messages that are no event of a job. With follow, a
// brief of the sequence zero announces a submission that is being stored, where that is known; it
// is yielded again with its sequence when it is stored.
func (b *Store) Briefs(ctx context.Context, from uint64, follow bool) iter.Seq2[[]job.Brief, error] {
	return func(yield func([]job.Brief, error) bool) {
		var err error
		if follow {
			err = b.follow(ctx, from, yield)
		} else {
			_, err = b.briefs(ctx, from, yield)
		}
		if err != nil && ctx.Err() == nil {
			yield(nil, fmt.Errorf("reading the headers of stream %s: %w", conn.JobsStream, err))
		}
	}
}

// briefs yields the events from a sequence on to the last one, and returns the sequence of the last
// message that it read, 0 if there was none.
func (b *Store) briefs(ctx context.Context, from uint64, yield func([]job.Brief, error) bool) (last uint64, err error) {
	if _, here := b.blocksOf(conn.JobsStream); here {
		return b.briefsOfFiles(ctx, from, yield)
	}
	asking, cancel := b.bound(ctx)
	end, err := b.LastSequence(asking, conn.JobsStream)
	cancel()
	if err != nil {
		return 0, err
	}
	return briefBatches(yield, func(each func(Message) error) error {
		return reader.Scan(ctx, b.js, conn.JobsStream, reader.From{Sequence: max(from, 1), Bare: true}, end, messages(each))
	})
}

// briefsOfFiles does the same from the server's files on this machine.
func (b *Store) briefsOfFiles(ctx context.Context, from uint64, yield func([]job.Brief, error) bool) (last uint64, err error) {
	info, err := b.jobs.Info(ctx)
	if err != nil {
		return 0, err
	}
	return briefBatches(yield, func(each func(Message) error) error {
		return b.Lines(ctx, conn.JobsStream, max(from, 1), info.State.LastSeq, each)
	})
}

// briefBatches yields the events that read reads, in batches, and returns the sequence of the last
// message.
func briefBatches(yield func([]job.Brief, error) bool, read func(each func(Message) error) error) (last uint64, err error) {
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

func briefOf(m Message) (job.Brief, error) {
	e, err := job.ReadBrief(m.Subject, m.Field)
	e.Sequence = m.Sequence
	return e, err
}

const snapshotObject = "projection"

// Identity identifies the current stream JOBS: the name changes when the stream is created again
// and when messages are removed from its middle, and not when messages are added or expire. First
// and last are the sequences of the oldest message and of the newest one ever stored. The error is
// ErrUnavailable.
func (b *Store) Identity(ctx context.Context) (name string, first, last uint64, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	info, err := b.jobs.Info(ctx)
	if err != nil {
		return "", 0, 0, fmt.Errorf("%w: asking for stream %s: %v", conn.ErrUnavailable, conn.JobsStream, err)
	}
	s := info.State
	return fmt.Sprintf("%d/%d", info.Created.UnixNano(), s.NumDeleted), s.FirstSeq, s.LastSeq, nil
}

// Snapshot returns the newest snapshot of the list of jobs, whole and as it was saved, or
// nil if there is none. Its error is ErrUnavailable.
func (b *Store) Snapshot(ctx context.Context) ([]byte, error) {
	data, err := objects.Read(ctx, b.js, conn.LedgerBucket, snapshotObject)
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading bucket %s: %v", conn.ErrUnavailable, conn.LedgerBucket, err)
	}
	return data, nil
}

// SaveSnapshot stores a snapshot of the list of jobs, and replaces the last one. The error is
// ErrUnavailable.
func (b *Store) SaveSnapshot(ctx context.Context, data io.Reader) error {
	store, err := b.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: conn.LedgerBucket, Replicas: max(b.opts.Streams.Replicas, 1),
		Description: "a snapshot of the list of jobs; can be removed",
	})
	if err == nil {
		_, err = store.Put(ctx, jetstream.ObjectMeta{Name: snapshotObject}, data)
	}
	if err != nil {
		return fmt.Errorf("%w: storing a snapshot in bucket %s: %v", conn.ErrUnavailable, conn.LedgerBucket, err)
	}
	return nil
}
