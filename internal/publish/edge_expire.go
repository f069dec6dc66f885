package publish

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// expireEvery is how often events that are too old are removed.
const expireEvery = time.Minute

// expire removes what a stream with a limit of age would have dropped, once the hub has it.
func (f *Forwarder) expire(ctx context.Context) {
	for {
		if err := f.Expire(ctx, time.Now().Add(-f.keep)); err != nil && ctx.Err() == nil {
			f.opts.Log.Warn().Err(err).Msg("events that are too old are not removed; it is tried again")
		}
		if pause(ctx, expireEvery) != nil {
			return
		}
	}
}

// Expire removes the events from before a time that the hub has. Run does so by itself with
// those that are older than ForwarderOptions.Keep. Nothing is removed until Run has found out
// that the store is the one that the hub knows.
func (f *Forwarder) Expire(ctx context.Context, before time.Time) error {
	l := f.lanes[0] // JOBS
	settled := l.sure()
	var last uint64
	for next := uint64(1); ; next = last + 1 {
		asking, cancel := f.local.bound(ctx)
		raw, err := firstOf(asking, f.local.js, l.from, next, l.subject)
		cancel()
		if err != nil {
			return fmt.Errorf("reading what is too old: %w", err)
		}
		if raw == nil || raw.Sequence > settled || !raw.Time.Before(before) {
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
	purging, cancel := f.local.bound(ctx)
	defer cancel()
	if err := l.from.Purge(purging, jetstream.WithPurgeSequence(last+1)); err != nil {
		return fmt.Errorf("removing events up to sequence %d: %w", last, err)
	}
	return nil
}

// dropBody removes a body that stands in the object store.
func (f *Forwarder) dropBody(ctx context.Context, raw *jetstream.RawStreamMsg) error {
	name, aside := strings.CutPrefix(raw.Header.Get(dataRef), dataRefPrefix)
	if !aside {
		return nil
	}
	ctx, cancel := f.local.bound(ctx)
	defer cancel()
	if err := f.local.removePayload(ctx, name); err != nil && !isLost(err) {
		return fmt.Errorf("removing the body of sequence %d: %w", raw.Sequence, err)
	}
	return nil
}
