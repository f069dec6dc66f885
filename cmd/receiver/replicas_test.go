package main_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server" //nolint:depguard // the operator's cluster, which no code of this program runs
	"github.com/nats-io/nats.go/jetstream"
)

// TestTwoReceiversMakeOneEvent calls back for a thousand jobs twice each, at the same
// moment to two processes on one NATS: the server decides, and there is one event each.
func TestTwoReceiversMakeOneEvent(t *testing.T) {
	t.Parallel()
	const jobs, atOnce = 1000, 32
	url := startNATS(t)
	callers := []caller{startReplica(t, url), startReplica(t, url)}
	outcomes := map[string]*atomic.Int64{"accepted": {}, "duplicate": {}}
	want := map[string]bool{}
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range jobs {
		id := fmt.Sprint(i)
		want[id] = true
		slots <- struct{}{}
		var both sync.WaitGroup
		for _, c := range callers {
			both.Add(1)
			wg.Go(func() {
				defer both.Done()
				outcome, _, err := c.finished(t.Context(), id)
				if n := outcomes[outcome]; n != nil {
					n.Add(1)
				} else {
					t.Errorf("job %s was answered %q, %v", id, outcome, err)
				}
			})
		}
		wg.Go(func() {
			both.Wait()
			<-slots
		})
	}
	wg.Wait()
	for outcome, n := range outcomes {
		if n.Load() != jobs {
			t.Errorf("%d callbacks were answered %s, want %d", n.Load(), outcome, jobs)
		}
	}
	js := connect(t, url)
	eachOnce(t, finishedEvents(t, finished(t, js)), want)
	for stream, want := range map[string]uint64{"JOBS": jobs, "ATTEMPTS": jobs} {
		if got := messages(t, js, stream); got != want {
			t.Errorf("stream %s has %d messages, want %d", stream, got, want)
		}
	}
}

// startNATS runs a NATS server as an operator would have one, beside the receivers.
func startNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server is not ready after 10 s")
	}
	return s.ClientURL()
}

// startReplica runs one receiver of several on a NATS server.
func startReplica(t *testing.T, url string) caller {
	t.Helper()
	dir := t.TempDir()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeConfig(dir, p, "nats:\n  mode: external\n  urls: ["+url+"]\n"); err != nil {
		t.Fatal(err)
	}
	public, _ := start(t, dir, "serve").listening(t)
	return newCaller(public)
}

func messages(t *testing.T, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	return state(t, js, stream).Msgs
}

func state(t *testing.T, js jetstream.JetStream, stream string) jetstream.StreamState {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State
}
