package memory

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// By default Go's garbage collector lets the heap grow to twice of what lives. That is too little
// for a small heap under load, which is then collected every few milliseconds, and too much for a
// large one: each job adds to what lives, and would cost twice that. So garbage gets what is
// allocated in a few seconds, within bounds.
const (
	garbageFor     = 2        // seconds
	leastGarbage   = 16 << 20 // bytes, or as much as lives
	mostGarbage    = 96 << 20 // bytes, or a part of a large heap:
	mostPart       = 4        // a quarter
	leastGCPercent = 10       // of what lives
	mostGCPercent  = 3200     // a heap is never so small
	headroomTick   = time.Second
	quietTicks     = 15       // with few allocations, before memory is returned to the system
	freeable       = 32 << 20 // bytes that are worth the collection that this takes
)

// heap is what the garbage collector says of itself, in bytes.
type heap struct {
	live      uint64 // after the last collection
	roots     uint64 // stacks and globals, which count like what lives
	allocated uint64 // since the start of the process
	free      uint64 // not used, and not returned to the system
}

// gcPercent is the setting of the garbage collector for a heap in which so much is allocated in a
// second.
func gcPercent(h heap, allocated uint64) int {
	garbage := max(garbageFor*allocated, min(leastGarbage, h.live))
	garbage = min(garbage, max(mostGarbage, h.live/mostPart))
	return int(min(max(garbage*100/max(h.live+h.roots, 1), leastGCPercent), mostGCPercent))
}

// KeepHeadroom adapts the garbage collector to the load until ctx is done: after each collection,
// since what lives may have multiplied, and each second. A setting by GOGC stays. The memory limit
// holds in any case.
func KeepHeadroom(ctx context.Context) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	collected := make(chan struct{}, 1)
	announce(ctx, collected)
	tick := time.NewTicker(headroomTick)
	defer tick.Stop()
	k := keeper{read: reader(), set: debug.SetGCPercent, free: debug.FreeOSMemory}
	k.before = k.read().allocated
	for {
		select {
		case <-ctx.Done():
			return
		case <-collected:
			k.adapt(k.read())
		case <-tick.C:
			k.look()
		}
	}
}

// announce sends after each collection until ctx is done.
func announce(ctx context.Context, collected chan<- struct{}) {
	// A pointer in it keeps it out of the blocks that small objects share, where it could live on.
	sentinel := new(*byte)
	runtime.AddCleanup(sentinel, func(struct{}) {
		if ctx.Err() != nil {
			return
		}
		select {
		case collected <- struct{}{}:
		default:
		}
		announce(ctx, collected)
	}, struct{}{})
}

// keeper sets the garbage collector.
type keeper struct {
	read   func() heap
	set    func(percent int) int
	free   func()
	before uint64 // allocated until the last look
	rate   uint64 // bytes allocated in a second
	now    int    // the setting; zero before the first
	quiet  int    // looks in a row that saw few allocations
}

// adapt sets the collector for the heap, unless it is nearly set so: to set it stops everything for
// a moment.
func (k *keeper) adapt(h heap) {
	want := gcPercent(h, k.rate)
	if k.now == 0 || want > k.now*5/4 || want < k.now*4/5 {
		k.set(want)
		k.now = want
	}
}

// look takes note of the load, once in a tick, and returns to the system what an earlier load left.
func (k *keeper) look() {
	h := k.read()
	k.rate, k.before = h.allocated-k.before, h.allocated
	k.adapt(h)
	if garbageFor*k.rate > leastGarbage {
		k.quiet = 0
		return
	}
	k.quiet++
	if k.quiet == quietTicks && h.free > freeable {
		k.free()
	}
}

// reader returns what reads the state of the heap.
func reader() func() heap {
	sample := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	return func() heap {
		metrics.Read(sample)
		at := func(i int) uint64 { return sample[i].Value.Uint64() }
		return heap{live: at(0), roots: at(1) + at(2), allocated: at(3), free: at(4)}
	}
}
