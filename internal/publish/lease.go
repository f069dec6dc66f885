package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// LeasesBucket holds who does what only one replica should do at a time.
const LeasesBucket = "LEASES"

// Lease is the right to do something that one replica at a time is enough for. It saves
// work and guards nothing: a holder that was cut off may go on for a while beside the
// next, so what is done under a lease must stand two doing it. It is for one goroutine.
type Lease struct {
	bus      *Bus
	kv       jetstream.KeyValue
	name     string
	holder   string
	revision uint64 // of our entry; 0 when we do not hold it
	other    uint64 // revision of the entry of another holder, seen first
	since    time.Time
}

// Lease returns the lease of this name, not yet held. The bucket is created if it is
// missing; it is kept in memory, since a lease says nothing after a restart.
func (b *Bus) Lease(ctx context.Context, name string) (*Lease, error) {
	kv, err := patiently(ctx, b.opts, b.leases)
	if err != nil {
		return nil, err
	}
	return &Lease{bus: b, kv: kv, name: name, holder: nuid.Next()}, nil
}

// leases opens the bucket.
func (b *Bus) leases(ctx context.Context) (jetstream.KeyValue, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	kv, err := b.js.KeyValue(ctx, LeasesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: LeasesBucket, TTL: b.opts.LeaseTime, History: 1, Storage: jetstream.MemoryStorage,
			Replicas: max(b.opts.Streams.Replicas, 1), Description: "who does what one replica is enough for",
		})
		if errors.Is(err, jetstream.ErrBucketExists) { // another replica was quicker
			kv, err = b.js.KeyValue(ctx, LeasesBucket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", LeasesBucket, err)
	}
	return kv, nil
}

// Hold takes the lease or renews it, for Options.LeaseTime from now, and reports whether
// it is ours. Its error is ErrUnavailable; then it is not known.
func (l *Lease) Hold(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, leasePatience)
	defer cancel()
	if l.revision != 0 {
		revision, err := l.kv.Update(ctx, l.name, []byte(l.holder), l.revision)
		if err == nil {
			l.revision = revision
			return true, nil
		}
		l.revision = 0
		if !isTaken(err) && !errors.Is(err, jetstream.ErrNoStreamResponse) && !errors.Is(err, nats.ErrNoResponders) {
			return false, fmt.Errorf("%w: renewing the lease %s: %v", ErrUnavailable, l.name, err)
		}
	}
	revision, err := l.kv.Create(ctx, l.name, []byte(l.holder))
	if isTaken(err) {
		return l.recognise(ctx)
	}
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		// The bucket went with the memory of a server that has started again.
		if kv, missing := l.bus.leases(ctx); missing == nil {
			l.kv = kv
			revision, err = kv.Create(ctx, l.name, []byte(l.holder))
		}
	}
	if err != nil {
		return false, fmt.Errorf("%w: taking the lease %s: %v", ErrUnavailable, l.name, err)
	}
	l.revision = revision
	return true, nil
}

// recognise reports whether the holder is us, by a write whose answer was lost.
func (l *Lease) recognise(ctx context.Context) (bool, error) {
	entry, err := l.kv.Get(ctx, l.name)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return false, nil // it ended this moment; the next Hold takes it
	case err != nil:
		return false, fmt.Errorf("%w: reading the lease %s: %v", ErrUnavailable, l.name, err)
	case string(entry.Value()) != l.holder:
		return l.outlived(ctx, entry.Revision())
	}
	l.revision = entry.Revision()
	return true, nil
}

// outlived takes the lease of a holder that has not renewed it for much longer than it lasts by
// our own timers: the server ends a lease by the wall clock, which may have been set back.
func (l *Lease) outlived(ctx context.Context, revision uint64) (bool, error) {
	if l.other != revision {
		l.other, l.since = revision, time.Now()
	}
	if time.Since(l.since) < 3*l.bus.opts.LeaseTime {
		return false, nil
	}
	revision, err := l.kv.Update(ctx, l.name, []byte(l.holder), revision)
	if err != nil {
		return false, nil // somebody was quicker
	}
	l.revision = revision
	return true, nil
}

// leasePatience bounds one question about a lease.
const leasePatience = 5 * time.Second

// Release gives the lease back, if it is ours, so that nobody waits for its end.
func (l *Lease) Release(ctx context.Context) error {
	if l.revision == 0 {
		return nil
	}
	revision := l.revision
	l.revision = 0
	if err := l.kv.Delete(ctx, l.name, jetstream.LastRevision(revision)); err != nil && !isTaken(err) {
		return fmt.Errorf("giving back the lease %s: %w", l.name, err)
	}
	return nil
}
