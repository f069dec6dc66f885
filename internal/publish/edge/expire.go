package edge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/objects"
	"receiver/internal/publish/reader"
)

// expireEvery is how often events that are too old are removed.
const expireEvery = time.Minute

// expire removes what a stream with an age limit would have removed, once the hub has it.
func (f *Forwarder) expire(ctx context.Context) {
	for {
		if err := f.Expire(ctx, time.Now().Add(-f.keep)); err != nil && ctx.Err() == nil {
			f.opts.Log.Warn().Err(err).Msg("removing old events failed and is tried again")
		}
		if conn.Sleep(ctx, expireEvery) != nil {
			return
		}
	}
}

// Expire removes the events from before a time that the hub has. Run does so by itself with events
// older than Options.Keep. Nothing is removed until Run has verified that the positions are those
// of this store.
func (f *Forwarder) Expire(ctx context.Context, before time.Time) error {
	s := f.streams[0] // JOBS
	acknowledged := s.acknowledged()
	var last uint64
	for next := uint64(1); ; next = last + 1 {
		asking, cancel := f.boundLocal(ctx)
		raw, err := reader.FirstOf(asking, f.local, s.from, next, s.subject)
		cancel()
		if err != nil {
			return fmt.Errorf("reading the oldest event: %w", err)
		}
		if raw == nil || raw.Sequence > acknowledged || !raw.Time.Before(before) {
			break
		}
		if err := f.dropBody(ctx, raw); err != nil {
			return err
		}
		last = raw.Sequence
	}
	if last == 0 {
		return nil
	}
	purging, cancel := f.boundLocal(ctx)
	defer cancel()
	if err := s.from.Purge(purging, jetstream.WithPurgeSequence(last+1)); err != nil {
		return fmt.Errorf("removing events up to sequence %d: %w", last, err)
	}
	return nil
}

// dropBody removes a body from the object store.
func (f *Forwarder) dropBody(ctx context.Context, raw *jetstream.RawStreamMsg) error {
	name, inObjectStore := strings.CutPrefix(raw.Header.Get(job.HeaderDataRef), conn.DataRefPrefix)
	if !inObjectStore {
		return nil
	}
	ctx, cancel := f.boundLocal(ctx)
	defer cancel()
	if err := objects.Delete(ctx, f.local, conn.PayloadBucket, name); err != nil && !objects.Lost(err) {
		return fmt.Errorf("removing the body of sequence %d: %w", raw.Sequence, err)
	}
	return nil
}
