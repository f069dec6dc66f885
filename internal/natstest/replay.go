package natstest

import (
	"testing"

	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// replayed are unrecognised bodies in the order in which they come, again and again, and the
// sequence that each has for good.
func replayed() (events []job.Event, want []uint64) {
	elsewhere, otherKey := Unrecognised("x"), Unrecognised("x")
	elsewhere.Source = "eu10"
	otherKey.Receipt.Key, otherKey.Receipt.Fingerprint, otherKey.Receipt.Signature = "second", "sha256:2", "sha256=def"
	return []job.Event{Unrecognised("x"), Unrecognised("y"), Unrecognised("x"), elsewhere, otherKey, Unrecognised("")}, []uint64{1, 2, 1, 3, 1, 4}
}

// Replay sends unrecognised bodies again and again, and fails the test unless each is one event;
// with repeated, they were sent to b before.
func Replay(t *testing.T, b *publish.Store, repeated bool) {
	t.Helper()
	events, want := replayed()
	known := map[uint64]bool{}
	for i, e := range events {
		got := Store(t, b, e)
		if got.Sequence != want[i] || got.Existed != (repeated || known[want[i]]) || got.ID() != e.ID() || got.Subject() != e.Subject() {
			t.Errorf("body %d, repeated=%v: existed=%v seq=%d %s, want sequence %d of %s", i, repeated, got.Existed, got.Sequence, got.Subject(), want[i], e.Subject())
		}
		known[want[i]] = true
	}
	if n := Count(t, b, conn.JobsStream); n != 4 {
		t.Errorf("repeated=%v: JOBS holds %d events, want 4", repeated, n)
	}
}
