//go:build linux && !race

package growth

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
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

func threadTime() time.Duration {
	const ofThread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(ofThread, &u); err != nil {
		panic(err) // every Linux tells
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
