package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// LedgerBucket holds the newest snapshot of the list of jobs. It can be removed at any
// moment: the list is then made from the stream.
const LedgerBucket = "LEDGER"

const snapshotObject = "projection"

// Identity names the stream JOBS as it is now: the name changes when the stream is made
// anew and when messages are removed from its middle, and not when messages come or grow
// too old. First and last are the sequences of the oldest message there and of the newest
// there ever was. Its error is ErrUnavailable.
func (b *Bus) Identity(ctx context.Context) (name string, first, last uint64, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	info, err := b.jobs.Info(ctx)
	if err != nil {
		return "", 0, 0, fmt.Errorf("%w: asking for stream %s: %v", ErrUnavailable, JobsStream, err)
	}
	s := info.State
	return fmt.Sprintf("%d/%d", info.Created.UnixNano(), s.NumDeleted), s.FirstSeq, s.LastSeq, nil
}

// Snapshot returns the newest snapshot of the list of jobs, whole and as it was saved, or
// nil if there is none. Its error is ErrUnavailable.
func (b *Bus) Snapshot(ctx context.Context) ([]byte, error) {
	data, err := readObject(ctx, b.js, LedgerBucket, snapshotObject)
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading bucket %s: %v", ErrUnavailable, LedgerBucket, err)
	}
	return data, nil
}

// SaveSnapshot stores a snapshot of the list of jobs in the place of the last. Its error
// is ErrUnavailable.
func (b *Bus) SaveSnapshot(ctx context.Context, data []byte) error {
	store, err := b.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: LedgerBucket, Replicas: max(b.opts.Streams.Replicas, 1),
		Description: "the list of jobs at one moment; can be removed",
	})
	if err == nil {
		_, err = store.PutBytes(ctx, snapshotObject, data)
	}
	if err != nil {
		return fmt.Errorf("%w: storing %d bytes in bucket %s: %v", ErrUnavailable, len(data), LedgerBucket, err)
	}
	return nil
}
