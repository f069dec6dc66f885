package publish_test

import (
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
)

// A batch may contain only duplicates: a platform that received no answer repeats all its callbacks
// at once.
func TestBatchOfDuplicatesOnly(t *testing.T) {
	t.Parallel()
	s, err := natsserver.Start(natsserver.Embedded{Folder: t.TempDir(), SyncAlways: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	b := natstest.Open(t, s)
	there, err := b.Publish(t.Context(), natstest.Event(job.Finished, "there", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 10 {
				got, err := b.Publish(t.Context(), natstest.Event(job.Finished, "there", "COMPLETED"))
				if err != nil || !got.Existed || got.Sequence != there.Sequence {
					t.Errorf("a repeat: existed=%v seq=%d err=%v, want sequence %d", got.Existed, got.Sequence, err, there.Sequence)
				}
			}
		})
	}
	wg.Wait()
}
