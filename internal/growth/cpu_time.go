//go:build linux && !race

package growth

import (
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// TimesThreads reports whether CPU time is measured.
const TimesThreads = true

// cpu returns the CPU time that do takes on its thread. Nothing is collected meanwhile: the
// goroutine would have to help.
func cpu(input string, do func(string)) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	began := threadTime()
	do(input)
	return threadTime() - began
}

// threadTime is the CPU time that the calling thread has used. Getrusage is too coarse for it: on
// some machines its times are multiples of 4 ms.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}
