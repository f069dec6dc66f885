package publish_test

import (
	"fmt"
	"sync"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// A platform whose request timed out sends the callback again soon. The repeat sends no request to
// the store.
func TestRepeatIsAnsweredFromTheCache(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b, other := natstest.Dial(t, s.External(), conn.Options{}), natstest.Dial(t, s.External(), conn.Options{})
	ours, err := b.Publish(t.Context(), natstest.Event(job.Finished, "ours", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.Publish(t.Context(), natstest.Event(job.Finished, "theirs", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Publish(t.Context(), natstest.Event(job.Finished, "theirs", "ABORTED")); err != nil || !got.Existed || got.Sequence != theirs.Sequence {
		t.Fatalf("what another replica stored: existed=%v seq=%d, %v, want sequence %d", got.Existed, got.Sequence, err, theirs.Sequence)
	}
	s.Stop()
	for _, want := range []job.Stored{ours, theirs} {
		got, err := b.Publish(t.Context(), natstest.Event(job.Finished, want.Job.ID, "ABORTED"))
		if err != nil || !got.Existed || got.Sequence != want.Sequence || got.ID() != want.ID() || !got.Job.SameOutcome(want.Job) || got.Evidence != want.Evidence {
			t.Errorf("repeat of %s = %+v, %v, want that of sequence %d", want.Job.ID, got, err, want.Sequence)
		}
	}
	if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, "new", "COMPLETED")); err == nil {
		t.Error("something new was stored without a store")
	}
}

// The cache has a limit. An evicted event is read from the stream, with the same result.
func TestEvictedEventIsReadFromTheStream(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	first, err := b.Publish(t.Context(), natstest.Event(job.Finished, "first", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	const callers, each = 64, 80 // more than the cache holds
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(c, "-", i), "COMPLETED")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := b.Publish(t.Context(), natstest.Event(job.Finished, "first", "ABORTED"))
	if err != nil || !got.Existed || got.Sequence != first.Sequence || got.Data == nil {
		t.Errorf("existed=%v seq=%d data=%q, %v, want the whole event of sequence %d", got.Existed, got.Sequence, got.Data, err, first.Sequence)
	}
}
