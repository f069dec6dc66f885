package publish_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// With an fsync for each acknowledgement and many callers, most events are stored in batches. Some
// are duplicates of stored events, some of others in the same batch.
func TestDuplicatesInABatchDoNotAffectTheOthers(t *testing.T) {
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
	const jobs, callersEach = 300, 2
	var stored, existed atomic.Int64
	sequences := sync.Map{}
	var wg sync.WaitGroup
	for i := range jobs {
		for range callersEach {
			wg.Go(func() {
				got, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
				switch {
				case err != nil:
					t.Error(err)
				case got.Existed:
					existed.Add(1)
				default:
					stored.Add(1)
				}
				if other, seen := sequences.LoadOrStore(got.Sequence, i); seen && other != i {
					t.Errorf("jobs %d and %d were both given sequence %d", i, other, got.Sequence)
				}
			})
		}
		wg.Go(func() {
			got, err := b.Publish(t.Context(), natstest.Event(job.Finished, "there", "ABORTED"))
			if err != nil || !got.Existed || got.Sequence != there.Sequence {
				t.Errorf("the job that is there: existed=%v seq=%d err=%v, want sequence %d", got.Existed, got.Sequence, err, there.Sequence)
			}
		})
	}
	wg.Wait()
	if stored.Load() != jobs || existed.Load() != jobs*(callersEach-1) {
		t.Errorf("%d stored and %d existed, want %d and %d", stored.Load(), existed.Load(), jobs, jobs*(callersEach-1))
	}
	batches := 0
	for m, err := range b.Messages(t.Context(), publish.Watch{Stream: conn.JobsStream}) {
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Header["Nats-Batch-Commit"]) > 0 {
			batches++
		}
		e, err := job.ParseEvent(m.Subject, m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if i, ok := sequences.Load(m.Sequence); ok && e.Job.ID != fmt.Sprint(i) {
			t.Errorf("sequence %d holds job %s, its caller was told job %v", m.Sequence, e.Job.ID, i)
		}
	}
	if batches == 0 {
		t.Error("nothing was gathered, so this test shows nothing")
	}
}
