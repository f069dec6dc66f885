package memory

import (
	"slices"
	"testing"
)

const mib = 1 << 20

func TestGarbageFollowsTheHeapAndTheLoad(t *testing.T) {
	for _, row := range []struct {
		what            string
		live, allocated uint64
		want            int
	}{
		{"at the start", 0, 0, 10},
		{"idle and empty", 8 * mib, 0, 80}, // of what lives and of the stacks
		{"an empty store under full load", 30 * mib, 300 * mib, 300},
		{"an empty store, 500 callbacks a second", 10 * mib, 5 * mib, 83},
		{"300,000 jobs, 500 callbacks a second", 118 * mib, 5 * mib, 13},
		{"300,000 jobs under full load", 118 * mib, 300 * mib, 80},
		{"a million jobs, idle", 298 * mib, 0, 10},
		{"a million jobs, 5,000 callbacks a second", 298 * mib, 120 * mib, 32},
		{"ten million jobs under full load", 2998 * mib, 500 * mib, 24},
	} {
		if got := gcPercent(heap{live: row.live, roots: 2 * mib}, row.allocated); got != row.want {
			t.Errorf("%s: gcPercent = %d, want %d", row.what, got, row.want)
		}
	}
}

// Memory that a load left is returned once, when the load is over, even if a small one goes on.
func TestMemoryIsReturnedAfterALoad(t *testing.T) {
	var freed []int
	now, h := 0, heap{live: 300 * mib}
	k := keeper{read: func() heap { return h }, set: func(int) int { return 0 }, free: func() { freed = append(freed, now) }}
	tick := func(allocated, free uint64) {
		h.allocated, h.free = h.allocated+allocated, free
		k.look()
		now++
	}
	for range 50 {
		tick(100*mib, 200*mib)
	}
	for range 50 {
		tick(2*mib, 200*mib)
	}
	tick(100*mib, 200*mib)
	for range 50 {
		tick(0, 4*mib) // not worth it
	}
	if want := []int{50 + quietTicks - 1}; !slices.Equal(freed, want) {
		t.Errorf("memory was returned at the ticks %d, want %d", freed, want)
	}
}

// To set the collector stops everything for a moment: small changes of the heap are no reason.
func TestTheCollectorIsSetSeldom(t *testing.T) {
	var set []int
	k := keeper{set: func(percent int) int { set = append(set, percent); return 0 }, rate: 300 * mib}
	for live := uint64(90); live <= 110; live++ {
		k.adapt(heap{live: live * mib})
	}
	k.adapt(heap{live: 200 * mib})
	if want := []int{106, 48}; !slices.Equal(set, want) {
		t.Errorf("the percentages set are %d, want %d", set, want)
	}
}
