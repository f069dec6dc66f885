package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"receiver/internal/publish/conn"
	"receiver/internal/publish/sender"
)

// leaseTime is how long a lease outlives a holder that does not renew it; the first process to open
// the bucket sets it for all.
const leaseTime = 5 * time.Second

// Lease is the right to do something for which one replica at a time is enough. It saves work and
// guarantees nothing: a holder that lost its connection may continue for a while beside the next,
// so two replicas doing it at once must do no harm. It is for one goroutine.
type Lease struct {
	store    *Store
	kv       jetstream.KeyValue
	name     string
	holder   string
	revision uint64 // of our entry; 0 when we do not hold it
	other    uint64 // revision of the entry of another holder, seen first
	since    time.Time
}

// Lease returns the lease of this name, not yet held. The bucket is created if it is missing; it is
// kept in memory, since a lease means nothing after a restart.
func (b *Store) Lease(ctx context.Context, name string) (*Lease, error) {
	kv, err := conn.Retry(ctx, b.opts, b.leaseBucket)
	if err != nil {
		return nil, err
	}
	return &Lease{store: b, kv: kv, name: name, holder: nuid.Next()}, nil
}

// leaseBucket opens the bucket.
func (b *Store) leaseBucket(ctx context.Context) (jetstream.KeyValue, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	kv, err := b.js.KeyValue(ctx, conn.LeasesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: conn.LeasesBucket, TTL: b.leases, History: 1, Storage: jetstream.MemoryStorage,
			Replicas: max(b.opts.Streams.Replicas, 1), Description: "the replica of each task that one replica does",
		})
		if errors.Is(err, jetstream.ErrBucketExists) { // another replica was quicker
			kv, err = b.js.KeyValue(ctx, conn.LeasesBucket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", conn.LeasesBucket, err)
	}
	return kv, nil
}

// Hold takes the lease or renews it, for five seconds from now, and reports whether this process
// holds it. The error is ErrUnavailable; then it is not known.
func (l *Lease) Hold(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	if l.revision != 0 {
		revision, err := l.kv.Update(ctx, l.name, []byte(l.holder), l.revision)
		if err == nil {
			l.revision = revision
			return true, nil
		}
		l.revision = 0
		if !sender.Taken(err) && !errors.Is(err, jetstream.ErrNoStreamResponse) && !errors.Is(err, nats.ErrNoResponders) {
			return false, fmt.Errorf("%w: renewing the lease %s: %v", conn.ErrUnavailable, l.name, err)
		}
	}
	revision, err := l.kv.Create(ctx, l.name, []byte(l.holder))
	if sender.Taken(err) {
		return l.recognise(ctx)
	}
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		// The bucket was in the memory of a server that has restarted.
		if kv, missing := l.store.leaseBucket(ctx); missing == nil {
			l.kv = kv
			revision, err = kv.Create(ctx, l.name, []byte(l.holder))
		}
	}
	if err != nil {
		return false, fmt.Errorf("%w: taking the lease %s: %v", conn.ErrUnavailable, l.name, err)
	}
	l.revision = revision
	return true, nil
}

// recognise reports whether this process holds the lease, by a write whose answer was lost.
func (l *Lease) recognise(ctx context.Context) (bool, error) {
	entry, err := l.kv.Get(ctx, l.name)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return false, nil // it ended this moment; the next Hold takes it
	case err != nil:
		return false, fmt.Errorf("%w: reading the lease %s: %v", conn.ErrUnavailable, l.name, err)
	case string(entry.Value()) != l.holder:
		return l.outlived(ctx, entry.Revision())
	}
	l.revision = entry.Revision()
	return true, nil
}

// outlived takes the lease of a holder that, by the local monotonic clock, has not renewed it for
// much longer than it lasts: the server ends a lease by the wall clock, which may have been set
// back.
func (l *Lease) outlived(ctx context.Context, revision uint64) (bool, error) {
	if l.other != revision {
		l.other, l.since = revision, time.Now()
	}
	if time.Since(l.since) < 3*l.store.leases {
		return false, nil
	}
	revision, err := l.kv.Update(ctx, l.name, []byte(l.holder), revision)
	if err != nil {
		return false, nil // another replica was faster
	}
	l.revision = revision
	return true, nil
}

// leaseTimeout bounds one request about a lease.
const leaseTimeout = 5 * time.Second

// Release gives the lease back, if this process holds it, so that no replica waits for its end.
func (l *Lease) Release(ctx context.Context) error {
	if l.revision == 0 {
		return nil
	}
	revision := l.revision
	l.revision = 0
	if err := l.kv.Delete(ctx, l.name, jetstream.LastRevision(revision)); err != nil && !sender.Taken(err) {
		return fmt.Errorf("releasing the lease %s: %w", l.name, err)
	}
	return nil
}
