package publish_test

import (
	"fmt"
	"sync"
	"testing"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// A platform that had no answer in time calls again soon: that asks nothing of the store.
func TestARepeatIsAnsweredFromMemory(t *testing.T) {
	s := somebodysServer(t, 0)
	b, other := dial(t, s.external(), publish.Options{}), dial(t, s.external(), publish.Options{})
	ours, err := b.Publish(t.Context(), event(job.Finished, "ours", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.Publish(t.Context(), event(job.Finished, "theirs", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Publish(t.Context(), event(job.Finished, "theirs", "ABORTED")); err != nil || !got.Existed || got.Sequence != theirs.Sequence {
		t.Fatalf("what another replica stored: existed=%v seq=%d, %v, want sequence %d", got.Existed, got.Sequence, err, theirs.Sequence)
	}
	s.stop()
	for _, want := range []job.Stored{ours, theirs} {
		got, err := b.Publish(t.Context(), event(job.Finished, want.Job.ID, "ABORTED"))
		if err != nil || !got.Existed || got.Sequence != want.Sequence || got.ID() != want.ID() || !got.Job.SameOutcome(want.Job) || got.Evidence != want.Evidence {
			t.Errorf("repeat of %s = %+v, %v, want that of sequence %d", want.Job.ID, got, err, want.Sequence)
		}
	}
	if _, err := b.Publish(t.Context(), event(job.Finished, "new", "COMPLETED")); err == nil {
		t.Error("something new was stored without a store")
	}
}

// Memory is bounded; what it has forgotten is asked of the stream, and gets the same answer.
func TestWhatIsForgottenIsAsked(t *testing.T) {
	b := open(t, start(t, t.TempDir()))
	first, err := b.Publish(t.Context(), event(job.Finished, "first", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	const callers, each = 64, 80 // more than are remembered
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				if _, err := b.Publish(t.Context(), event(job.Finished, fmt.Sprint(c, "-", i), "COMPLETED")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := b.Publish(t.Context(), event(job.Finished, "first", "ABORTED"))
	if err != nil || !got.Existed || got.Sequence != first.Sequence || got.Data == nil {
		t.Errorf("existed=%v seq=%d data=%q, %v, want the whole event of sequence %d", got.Existed, got.Sequence, got.Data, err, first.Sequence)
	}
}
