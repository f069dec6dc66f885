package publish_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// The server writes down until when a message waits. A clock that was a day ahead then makes
// that a day too long, so the server in this process is not believed when it was started again.
func TestWhatWaitsIsHandedOutAfterARestart(t *testing.T) {
	const tooLong = 25 * time.Hour
	folder := t.TempDir()
	s, err := publish.Start(publish.Embedded{Folder: folder, Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Open(t.Context(), publish.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		put(t, b, fmt.Sprint(i))
		if _, err := b.Publish(t.Context(), event(job.Submitted, fmt.Sprint(i), "CREATED")); err != nil {
			t.Fatal(err)
		}
	}
	handOut(t, b, tooLong, 3)
	if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	b = open(t, start(t, folder))
	handOut(t, b, tooLong, 3)
}

// handOut waits, longer than the library needs to find out that a pull was lost, until so many watches and submissions have been handed out to one who wants them
// again after so long.
func handOut(t *testing.T, b *publish.Bus, again time.Duration, want int) {
	t.Helper()
	watches, submissions := make(chan string, 100), make(chan string, 100)
	stop := watch(t, b, func(_ context.Context, w job.Watch) time.Duration {
		watches <- w.Job
		return again
	})
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- b.React(ctx, 4, 0, func(_ context.Context, e job.Stored, _ uint64) time.Duration {
			submissions <- e.Job.ID
			return again
		})
	}()
	defer func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("React = %v, want the context's error", err)
		}
	}()
	for name, c := range map[string]chan string{"watches": watches, "submissions": submissions} {
		seen := map[string]bool{}
		if !within(45*time.Second, func() bool {
			select {
			case id := <-c:
				seen[id] = true
			case <-time.After(10 * time.Millisecond):
			}
			return len(seen) == want
		}) {
			t.Fatalf("handed out %v of the %s, want %d", seen, name, want)
		}
	}
}

func within(most time.Duration, holds func() bool) bool {
	for late := time.Now().Add(most); time.Now().Before(late); {
		if holds() {
			return true
		}
	}
	return false
}
