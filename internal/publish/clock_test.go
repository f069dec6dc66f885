package publish_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// The server stores the time until which a message is delayed. A clock that was a day ahead makes
// the delay a day too long, so the embedded server hands out delayed messages when it has been
// restarted.
func TestDelayedWorkIsHandedOutAfterARestart(t *testing.T) {
	t.Parallel()
	const tooLong = 25 * time.Hour
	folder := t.TempDir()
	s, err := natsserver.Start(natsserver.Embedded{Folder: folder, Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := publish.Open(t.Context(), s, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		put(t, b, fmt.Sprint(i))
		if _, err := b.Publish(t.Context(), natstest.Event(job.Submitted, fmt.Sprint(i), "CREATED")); err != nil {
			t.Fatal(err)
		}
	}
	handOut(t, b, tooLong, 3)
	if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	b = natstest.Open(t, natstest.Start(t, folder))
	handOut(t, b, tooLong, 3)
}

// handOut waits until so many watches and submissions have been handed out to a caller that
// postpones each of them. It waits for longer than the library needs to notice a lost pull.
func handOut(t *testing.T, b *publish.Store, again time.Duration, want int) {
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
