package publish_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// BenchmarkPublish stores finished events of distinct jobs, with an fsync before every
// acknowledgement: by group commit and, as the baseline, one by one.
func BenchmarkPublish(b *testing.B) {
	for _, callers := range []int{1, 4, 16, 64, 256} {
		for _, duplicates := range []int{0, 5} {
			for _, oneByOne := range []bool{true, false} {
				name := "gathered"
				if oneByOne {
					name = "one by one"
				}
				b.Run(fmt.Sprintf("callers=%d/duplicates=%d%%/%s", callers, duplicates, name), func(b *testing.B) {
					benchmarkPublish(b, callers, duplicates, oneByOne)
				})
			}
		}
	}
}

func benchmarkPublish(b *testing.B, callers, duplicates int, oneByOne bool) {
	s, err := natsserver.Start(natsserver.Embedded{Folder: b.TempDir(), SyncAlways: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop()
	bus, err := publish.Open(b.Context(), s, conn.Options{OneByOne: oneByOne})
	if err != nil {
		b.Fatal(err)
	}
	defer bus.Close(context.Background())
	if _, err := bus.Publish(b.Context(), natstest.Event(job.Finished, "0", "COMPLETED")); err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	work := make(chan struct{})
	done := make(chan error, callers)
	for range callers {
		go func() {
			for range work {
				id := next.Add(1)
				if int(id%100) < duplicates {
					id = 0
				}
				if _, err := bus.Publish(b.Context(), natstest.Event(job.Finished, fmt.Sprint(id), "COMPLETED")); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	for range callers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}
