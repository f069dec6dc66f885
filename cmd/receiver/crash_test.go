package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// TestAcknowledgedJobsSurviveACrash holds the promise of a 200. While callbacks pour in,
// serve is killed with no chance to do anything, and again with what it had in memory gone,
// as with the power; then it is asked to stop.
// After the next start every job that was answered 200 has its event, and after the
// platform has repeated what was not answered, every job has exactly one.
func TestAcknowledgedJobsSurviveACrash(t *testing.T) {
	t.Parallel()
	dir := configured(t)
	l := &load{sent: map[string]bool{}, acknowledged: map[string]bool{}}
	ends := []struct {
		signal syscall.Signal
		code   int
		power  bool
	}{{syscall.SIGKILL, -1, false}, {syscall.SIGKILL, -1, true}, {syscall.SIGTERM, 0, false}}
	for round, end := range ends {
		serve := start(t, dir, "serve")
		public, _ := serve.listening(t)
		reached, over := l.pour(t.Context(), newCaller(public), fmt.Sprint(round))
		select {
		case <-reached:
		case <-over:
			t.Fatal("callbacks failed before the end of serve")
		}
		if code, err := serve.end(end.signal); err != nil || code != end.code {
			t.Fatalf("serve = exit %d, %v after %v, want exit %d", code, err, end.signal, end.code)
		}
		<-over
		if end.power {
			forget(t, dir)
		}
	}

	public, _ := start(t, dir, "serve").listening(t)
	after := finishedEvents(t, admitted(t, dir, "after"))
	for id := range l.acknowledged {
		if after[id] != 1 {
			t.Errorf("job %s was answered 200 and has %d finished events after the restart, want 1", id, after[id])
		}
	}
	repeat(t, newCaller(public), l.sent)
	eachOnce(t, finishedEvents(t, admitted(t, dir, "in-the-end")), l.sent)
	t.Logf("%d of %d callbacks were answered 200 in %d runs", len(l.acknowledged), len(l.sent), len(ends))
}

// forget takes away what a killed serve had in memory: the batches that were not committed.
func forget(t *testing.T, dir string) {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(dir, "receiver-data", "jetstream", "*", "streams", "*", "batches"))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		memory, err := os.Readlink(link)
		if err != nil {
			continue // a folder on disk, where there is no file system in memory
		}
		if err := os.RemoveAll(memory); err != nil {
			t.Fatal(err)
		}
	}
}

// load is callbacks for many jobs, each for one of its own.
type load struct {
	mu                 sync.Mutex
	sent, acknowledged map[string]bool
}

// pour calls back from several sides at once until the receiver is gone. Reached is
// closed when enough callbacks were answered 200, over when none is under way any more.
func (l *load) pour(ctx context.Context, c caller, prefix string) (reached, over <-chan struct{}) {
	const sides, enough = 8, 300
	plenty, done := make(chan struct{}), make(chan struct{})
	answered := 0
	var wg sync.WaitGroup
	for n := range sides {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", prefix, n, i)
				_, ok, err := c.finished(ctx, id)
				l.mu.Lock()
				l.sent[id] = true
				if ok {
					l.acknowledged[id] = true
					if answered++; answered == enough {
						close(plenty)
					}
				}
				l.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	go func() {
		wg.Wait()
		close(done)
	}()
	return plenty, done
}

// repeat calls back for every job once more, as the platform does for what it got no
// answer to.
func repeat(t *testing.T, c caller, jobs map[string]bool) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ids := make(chan string)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for id := range ids {
				if _, _, err := c.finished(ctx, id); err != nil {
					cancel(err)
				}
			}
		})
	}
	for id := range jobs {
		ids <- id
	}
	close(ids)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		t.Fatal(err)
	}
}
