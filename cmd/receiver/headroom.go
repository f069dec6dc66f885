package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// By default the garbage collector lets the heap grow to twice of what lives. What lives grows
// with every job, by about 280 bytes, so a long list would take twice that for nothing.
const (
	headroom       = 48 << 20 // bytes that garbage may take, but
	leastGCPercent = 40       // never less than this part of what lives: collecting takes time,
	mostGCPercent  = 100      // nor more than Go's default
	headroomTick   = 10 * time.Second
)

// gcPercent is the setting of the garbage collector for so many bytes that live.
func gcPercent(live uint64) int {
	return int(min(max(headroom*100/max(live, 1), leastGCPercent), mostGCPercent))
}

// keepHeadroom sets the garbage collector by what lives until ctx is done. Whoever has set it
// by GOGC keeps that.
func keepHeadroom(ctx context.Context) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(headroomTick)
	defer tick.Stop()
	now := mostGCPercent
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(sample)
		if want := gcPercent(sample[0].Value.Uint64()); want != now {
			debug.SetGCPercent(want)
			now = want
		}
	}
}
