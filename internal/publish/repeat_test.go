package publish_test

import (
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// A batch may hold nothing but duplicates: a platform that missed our answer repeats what
// it has, all at once.
func TestABatchOfDuplicatesOnly(t *testing.T) {
	s, err := publish.Start(publish.Embedded{Folder: t.TempDir(), SyncAlways: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	b := open(t, s)
	there, err := b.Publish(t.Context(), event(job.Finished, "there", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 10 {
				got, err := b.Publish(t.Context(), event(job.Finished, "there", "COMPLETED"))
				if err != nil || !got.Existed || got.Sequence != there.Sequence {
					t.Errorf("a repeat: existed=%v seq=%d err=%v, want sequence %d", got.Existed, got.Sequence, err, there.Sequence)
				}
			}
		})
	}
	wg.Wait()
}
