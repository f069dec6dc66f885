package memory

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// By default Go's garbage collector lets the heap grow to twice of what lives. Every job adds
// about 280 bytes to what lives, and would cost twice that for nothing while little is
// allocated. So garbage gets what is allocated in a few seconds, within bounds: collecting
// takes the longer the more there is that lives, and under full load it stays at the default.
const (
	garbageFor     = 2        // seconds
	leastGarbage   = 16 << 20 // bytes
	leastGCPercent = 10       // of what lives
	mostGCPercent  = 100      // Go's default
	headroomTick   = time.Second
)

// gcPercent is the setting of the garbage collector for so many bytes that live, and that are
// allocated in a second.
func gcPercent(live, allocated uint64) int {
	garbage := max(garbageFor*allocated, leastGarbage)
	return int(min(max(garbage*100/max(live, 1), leastGCPercent), mostGCPercent))
}

// KeepHeadroom adapts the garbage collector to the load until ctx is done. A setting by GOGC stays.
func KeepHeadroom(ctx context.Context) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	tick := time.NewTicker(headroomTick)
	defer tick.Stop()
	for now := mostGCPercent; ; {
		before := sample[1].Value.Uint64()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(sample)
		want := gcPercent(sample[0].Value.Uint64(), sample[1].Value.Uint64()-before)
		if want > now*5/4 || want < now*4/5 { // to set it stops everything for a moment
			debug.SetGCPercent(want)
			now = want
		}
	}
}
