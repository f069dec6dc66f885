package publish_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// heap returns the bytes in use on the heap.
func heap() int64 {
	for range 3 { // finalizers and pools free their memory in later rounds
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Calls that fail during an outage leave nothing in memory. The client library keeps requests that
// it could not send until the connection is lost once more, and messages for a minute.
func TestOutageLeavesNothingInMemory(t *testing.T) {
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{Timeout: time.Second})
	natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	s.Stop()
	natstest.Eventually(t, "the connection to be lost", func() bool { return b.Ready(t.Context()) != nil })
	const times = 3000
	body := make([]byte, 4<<10)
	for what, try := range map[string]func(ctx context.Context, i int) error{
		"Publish": func(ctx context.Context, i int) error {
			e := natstest.Event(job.Finished, fmt.Sprint("a", i), "COMPLETED")
			e.Data = append(e.Data, body...)
			_, err := b.Publish(ctx, e)
			return err
		},
		"Publish of progress": func(ctx context.Context, i int) error {
			_, err := b.Publish(ctx, natstest.Event(job.Progress, fmt.Sprint("b", i), "RUNNING"))
			return err
		},
		"Record": func(ctx context.Context, _ int) error { return b.Record(ctx, natstest.Attempt("mismatch")) },
		"Job":    func(ctx context.Context, i int) error { _, err := b.Job(ctx, "demo", fmt.Sprint(i)); return err },
		"Submission": func(ctx context.Context, i int) error {
			_, _, err := b.Submission(ctx, "demo", fmt.Sprint(i))
			return err
		},
		"Watched": func(ctx context.Context, i int) error {
			_, _, err := b.Watched(ctx, "demo", fmt.Sprint(i))
			return err
		},
		"Ready": func(ctx context.Context, _ int) error { return b.Ready(ctx) },
	} {
		before := heap()
		for i := range times {
			if err := try(t.Context(), i); err == nil {
				t.Fatalf("%s = nil without a server", what)
			}
		}
		if each := float64(heap()-before) / times; each > 30 {
			t.Errorf("%s without a server leaves %.0f bytes in memory each time, want none", what, each)
		}
	}
}

// A server that does not answer makes callbacks wait. At most MaxWaiting calls wait; the others are
// refused at once.
func TestWaitingForASilentServerIsBounded(t *testing.T) {
	t.Parallel()
	const most, calls = 50, 300
	for _, row := range []struct {
		name string
		call func(b *publish.Store, i int) error
	}{
		{"events", func(b *publish.Store, i int) error {
			_, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
			return err
		}},
		{"progress", func(b *publish.Store, i int) error {
			_, err := b.Publish(t.Context(), natstest.Event(job.Progress, fmt.Sprint(i), "RUNNING"))
			return err
		}},
		{"repeats", func(b *publish.Store, _ int) error { return b.Record(t.Context(), natstest.Attempt("duplicate")) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := natstest.NewServer(t, 0)
			w := natstest.NewWall(t, s.NATS.Addr().String())
			b := natstest.Dial(t, conn.External{URLs: []string{w.URL()}}, conn.Options{Timeout: 2 * time.Second, MaxWaiting: most})
			natstest.Store(t, b, natstest.Event(job.Finished, "first", "COMPLETED"))
			w.Close()
			var mu sync.Mutex
			quick, slow := 0, 0
			var wg sync.WaitGroup
			for i := range calls {
				wg.Go(func() {
					began := time.Now()
					err := row.call(b, i)
					mu.Lock()
					defer mu.Unlock()
					if !errors.Is(err, conn.ErrUnavailable) {
						t.Errorf("call %d = %v, want ErrUnavailable", i, err)
					}
					if time.Since(began) < time.Second {
						quick++
					} else {
						slow++
					}
				})
			}
			wg.Wait()
			if slow > most || quick < calls-most {
				t.Errorf("%d calls waited and %d were refused at once, want at most %d to wait", slow, quick, most)
			}
		})
	}
}
