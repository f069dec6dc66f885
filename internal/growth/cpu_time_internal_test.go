//go:build linux && !race

package growth

import (
	"runtime"
	"testing"
)

// A clock that is too coarse makes a small input cost nothing, and a linear function a fault.
func TestTheClockOfAThreadIsFine(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	coarse := 0
	for range 100 {
		began := threadTime()
		now := began
		for now == began {
			now = threadTime()
		}
		if now-began > tick/10 {
			coarse++
		}
	}
	if coarse > 10 {
		t.Errorf("%d of 100 steps of the clock are longer than %v", coarse, tick/10)
	}
}
