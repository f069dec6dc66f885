//go:build !linux || race

package growth

import "time"

// TimesThreads reports whether CPU time is measured.
const TimesThreads = false

// cpu returns nothing where a thread has no clock, and under the race detector, whose own work
// has nothing to do with that of the function. Allocations are counted all the same.
func cpu(string, func(string)) time.Duration { return 0 }
