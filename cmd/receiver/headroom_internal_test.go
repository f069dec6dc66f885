package main

import "testing"

func TestGarbageTakesLittleBesideALongList(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 100, 30 << 20: 100, 48 << 20: 100, 80 << 20: 60, 96 << 20: 50, 120 << 20: 40, 1 << 40: 40,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("gcPercent(%d MiB) = %d, want %d", live>>20, got, want)
		}
	}
}
