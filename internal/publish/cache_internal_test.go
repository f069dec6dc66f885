package publish

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"receiver/internal/job"
)

// The fields that are read from a body are substrings of it. The cache must not keep the whole body
// alive for them.
func TestCacheKeepsNoBodies(t *testing.T) {
	var m cache
	padding := strings.Repeat("x", 256<<10)
	before := heap()
	const events = 200
	for i := range events {
		v, err := job.Read(fmt.Appendf(nil, `{"id":"%d","status":"COMPLETED","callback-payload":"%s"}`, i, padding))
		if err != nil {
			t.Fatal(err)
		}
		m.add(fmt.Sprint(i), job.Stored{Event: job.Event{Kind: job.Finished, Source: "demo", Job: v}, Sequence: uint64(i)}, nil)
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("%d events with bodies of %d bytes took %d bytes to remember, want less than 8 MiB", events, len(padding), grown)
	}
	for i := range events {
		if e, ok := m.get(fmt.Sprint(i)); !ok || e.Job.ID != fmt.Sprint(i) || e.Job.Status != "COMPLETED" || e.Sequence != uint64(i) {
			t.Fatalf("event %d = %+v, %v", i, e, ok)
		}
	}
}

func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
