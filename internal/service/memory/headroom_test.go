package memory_test

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"receiver/internal/service/memory"
)

const mib = 1 << 20

// A small heap under load is not collected every few milliseconds, a large one does not double, and
// an idle one takes little beside what lives.
func TestTheHeapKeepsToItsHeadroom(t *testing.T) {
	if _, set := os.LookupEnv("GOGC"); set {
		t.Skip("GOGC is set, and stays")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		memory.KeepHeadroom(ctx)
	}()
	defer func() { cancel(); <-done }()

	busy := func() { waste(t, 20*mib) }
	within(t, "a small heap under load", busy, func(live, goal uint64) bool { return goal > live+80*mib && goal < live+110*mib })
	large := make([]byte, 400*mib)
	within(t, "a large heap under load", busy, func(live, goal uint64) bool { return live > 400*mib && goal > live+80*mib && goal < live+110*mib })
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	calm := func() { <-tick.C; waste(t, 1<<10) }
	within(t, "a large heap at rest", calm, func(live, goal uint64) bool { return live > 400*mib && goal < live+60*mib })
	runtime.KeepAlive(large)
}

var garbage []byte

// waste allocates so much, and lets go of it.
func waste(t *testing.T, size int) {
	t.Helper()
	for range size / 1024 {
		garbage = make([]byte, 1024)
	}
}

// within goes on with the work until the heap is as it should be.
func within(t *testing.T, what string, work func(), good func(live, goal uint64) bool) {
	t.Helper()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"}}
	for until := time.Now().Add(20 * time.Second); ; work() {
		metrics.Read(sample)
		live, goal := sample[0].Value.Uint64(), sample[1].Value.Uint64()
		if good(live, goal) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s: %d MiB live, and the collector lets it grow to %d MiB", what, live/mib, goal/mib)
		}
	}
}
