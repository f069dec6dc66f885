package publish

import (
	"context"
	"time"

	"receiver/internal/publish/conn"
)

// KeepBody stores a body in the object store of b.
func KeepBody(ctx context.Context, b *Store, name string, data []byte) error {
	return b.putPayload(ctx, name, data)
}

// Guard returns a function that checks the streams of b once.
func Guard(b *Store) func(context.Context) {
	all := b.guardedStreams()
	return func(ctx context.Context) { b.guard(ctx, all) }
}

// Pause waits for as long as a retry does.
func Pause(ctx context.Context) error { return conn.Sleep(ctx, conn.LagPause) }

// LeaseTime makes the leases of b end at d after their last renewal.
func LeaseTime(b *Store, d time.Duration) *Store {
	b.leases = d
	return b
}
