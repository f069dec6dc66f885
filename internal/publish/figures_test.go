package publish_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish/sender"
)

// Every message that is to be stored is counted once by its outcome, and every batch by its size.
func TestFiguresOfPublishing(t *testing.T) {
	t.Parallel()
	s, err := natsserver.Start(natsserver.Embedded{Folder: t.TempDir(), SyncAlways: true, Log: zerolog.Nop()})
	natstest.Must(t, err)
	t.Cleanup(s.Stop)
	b := natstest.Open(t, s)
	const jobs = 300
	var mu sync.Mutex
	outcomes, inBatches := map[string]int{}, 0
	b.Measure(sender.Figures{
		Published: func(took time.Duration, outcome string) {
			mu.Lock()
			defer mu.Unlock()
			if outcomes[outcome]++; took <= 0 {
				t.Errorf("%s in %v", outcome, took)
			}
		},
		Batch: func(messages int) {
			mu.Lock()
			defer mu.Unlock()
			inBatches += messages
		},
	})
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() {
			if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	other := natstest.Open(t, s) // which does not know by itself what is stored
	other.Measure(sender.Figures{
		Published: func(_ time.Duration, outcome string) { outcomes[outcome]++ },
		Batch:     func(int) { t.Error("one message was stored as a batch") },
	})
	natstest.Store(t, other, natstest.Event(job.Finished, "0", "COMPLETED"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := other.Publish(gone, natstest.Event(job.Finished, "none", "COMPLETED")); err == nil {
		t.Error("a caller that has gone has its event stored")
	}
	if outcomes["acknowledged"] != jobs || outcomes["exists"] != 1 || outcomes["failed"] != 1 {
		t.Errorf("outcomes %v, want %d acknowledged, one exists, one failed", outcomes, jobs)
	}
	if inBatches == 0 || inBatches > jobs {
		t.Errorf("%d of %d messages in batches", inBatches, jobs)
	}
	if b.InFlight() != 0 || other.InFlight() != 0 {
		t.Errorf("%d and %d messages in flight at the end", b.InFlight(), other.InFlight())
	}
}
