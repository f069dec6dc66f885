package publish_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
)

func TestPutWatchReplacesOnlyTheKnownSequence(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	w := job.Watch{Source: "demo", Job: "a.b", Since: time.Unix(1, 0).UTC(), Looks: 1}
	var known uint64
	for _, tt := range []struct {
		name     string
		sequence func() uint64
		want     bool
	}{
		{"replacing what is not there", func() uint64 { return 7 }, false},
		{"the first", func() uint64 { return 0 }, true},
		{"the first once more", func() uint64 { return 0 }, false},
		{"replacing", func() uint64 { return known }, true},
		{"replacing what was replaced", func() uint64 { return known - 1 }, false},
	} {
		w.Sequence = tt.sequence()
		w.Looks++
		if got, err := b.PutWatch(t.Context(), w); got != tt.want || err != nil {
			t.Errorf("%s: PutWatch = %v, %v, want %v", tt.name, got, err, tt.want)
		}
		there, ok, err := b.Watched(t.Context(), "demo", "a.b")
		if err != nil {
			t.Fatalf("%s: Watched: %v", tt.name, err)
		}
		known = there.Sequence
		if tt.want && (!ok || there.Looks != w.Looks || there.Job != "a.b") {
			t.Errorf("%s: Watched = %+v, %v, want %+v", tt.name, there, ok, w)
		}
	}
	if w, ok, err := b.Watched(t.Context(), "demo", "another"); ok || err != nil {
		t.Errorf("Watched of no watch = %+v, %v, %v", w, ok, err)
	}
}

func TestWatchIsHandedOutUntilItIsDone(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	put(t, b, "1")
	times := make(chan time.Time, 3)
	stop := watch(t, b, func(context.Context, job.Watch) time.Duration {
		times <- time.Now()
		if len(times) < cap(times) {
			return 30 * time.Millisecond
		}
		return 0
	})
	natstest.Eventually(t, "the watch to be removed", func() bool {
		_, ok, err := b.Watched(t.Context(), "demo", "1")
		return err == nil && !ok
	})
	stop()
	close(times)
	var last time.Time
	for at := range times {
		if took := at.Sub(last); took < 20*time.Millisecond {
			t.Errorf("handed out again after %v, want 30ms", took)
		}
		last = at
	}
}

func TestReplacementOfAWatchIsHandedOut(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	put(t, b, "1")
	seen := make(chan job.Watch, 10)
	watch(t, b, func(_ context.Context, w job.Watch) time.Duration {
		seen <- w
		if w.Looks == 0 {
			return time.Hour
		}
		return 0
	})
	w := <-seen
	w.Looks = 1
	if ok, err := b.PutWatch(t.Context(), w); !ok || err != nil {
		t.Fatalf("PutWatch = %v, %v", ok, err)
	}
	if w = <-seen; w.Looks != 1 {
		t.Errorf("handed out %+v, want the new watch", w)
	}
}

func TestWatchesOfAStoppedReplicaGoToAnother(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	a, b := natstest.Open(t, s), natstest.Open(t, s)
	const watches = 20
	for i := range watches {
		put(t, a, fmt.Sprint(i))
	}
	began := make(chan bool, watches)
	stop := watch(t, a, func(ctx context.Context, _ job.Watch) time.Duration {
		began <- true
		<-ctx.Done()
		return time.Hour
	})
	<-began
	stop()
	var mu sync.Mutex
	done := map[string]bool{}
	watch(t, b, func(_ context.Context, w job.Watch) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		done[w.Job] = true
		return 0
	})
	natstest.Eventually(t, "the other replica to do all", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(done) == watches
	})
}

// The server may still be writing the position of a consumer when the next use opens it, or makes
// another in its place.
func TestWatchesCanBeOpenedAtOnceAgain(t *testing.T) {
	t.Parallel()
	ours, theirs := natstest.Start(t, t.TempDir()), natstest.NewServer(t, 0)
	js := theirs.JetStream()
	for name, tt := range map[string]struct {
		b     *publish.Store
		after func() error
	}{
		"after they ended": {natstest.Open(t, ours), func() error { return nil }},
		"after another client removed their consumer": {natstest.Dial(t, theirs.External(), conn.Options{}), func() error {
			return js.DeleteConsumer(context.Background(), conn.WatchStream, durables.WatchConsumer)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const watches, rounds = 50, 300
			for i := range watches {
				put(t, tt.b, fmt.Sprint(i))
			}
			for range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				handed, ended := make(chan bool, watches), make(chan error, 1)
				go func() {
					ended <- tt.b.Watches(ctx, 8, time.Second, func(context.Context, job.Watch) time.Duration {
						select {
						case handed <- true:
						default:
						}
						return time.Millisecond
					})
				}()
				for range watches / 2 {
					select {
					case <-handed:
					case err := <-ended:
						t.Fatalf("Watches = %v, and handed out nothing", err)
					}
				}
				if err := tt.after(); err != nil {
					t.Fatal(err)
				}
				cancel()
				if err := <-ended; err == nil {
					t.Error("Watches = nil, want the reason why it ended")
				}
			}
		})
	}
}

func TestReactGivesSubmissions(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for _, e := range []job.Event{
		natstest.Event(job.Submitted, "1", "CREATED"), natstest.Event(job.Progress, "1", "RUNNING"), natstest.Event(job.Finished, "1", "COMPLETED"),
		natstest.Event(job.Overdue, "1", "RUNNING"), natstest.Unrecognised("x"), natstest.Event(job.Submitted, "2", "CREATED"),
	} {
		e.Receipt = &job.Receipt{Received: time.Now()}
		if _, err := b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- b.React(ctx, 1, 0, func(_ context.Context, e job.Stored, tries uint64) time.Duration {
			got <- fmt.Sprint(e.Subject(), " ", e.Sequence, " ", tries, " ", len(e.Data))
			if e.Sequence == 1 && tries == 1 {
				return time.Millisecond
			}
			return 0
		})
	}()
	seen := map[string]bool{}
	for range 3 {
		seen[<-got] = true
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("React = %v, want the context's error", err)
	}
	for _, want := range []string{
		"jobs.demo.1.submitted 1 1 0", "jobs.demo.1.submitted 1 2 0", "jobs.demo.2.submitted 6 1 0",
	} {
		if !seen[want] {
			t.Errorf("React did not give %q but %v", want, seen)
		}
	}
}

func put(t *testing.T, b *publish.Store, id string) {
	t.Helper()
	if ok, err := b.PutWatch(t.Context(), job.Watch{Source: "demo", Job: id}); !ok || err != nil {
		t.Fatalf("PutWatch(%s) = %v, %v", id, ok, err)
	}
}

// watch hands out watches to do until the returned func is called.
func watch(t *testing.T, b *publish.Store, do func(context.Context, job.Watch) time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Watches(ctx, 4, time.Second, do) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watches = %v, want the context's error", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
