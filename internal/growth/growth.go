// Package growth measures in tests how the work of a function grows with its input. It is for every
// function that reads bytes from outside: one whose work grows faster than its input lets any
// sender block the process with one body. The program never uses it.
//
// Work is counted as allocated bytes and as the CPU time of the one thread that does it. Neither
// depends on the load of the machine: a thread that waits uses no CPU time. Under the race
// detector, and on other systems than Linux, allocations are counted only.
package growth

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

const (
	// doublings is how often the input is doubled between the two measurements. A quadratic
	// function does 256 times the work then, a linear one 16 times.
	doublings = 4
	// most is the most that the work may grow by when the input doubles.
	most = 2.5
	// overhead is what a function may allocate whatever its input is.
	overhead = 64 << 10
	// tries is how often too much work is measured again.
	tries = 5
	// tick is a CPU time that any machine can measure; a shorter one is taken for it.
	tick = time.Millisecond
)

// Shape makes an input of about n bytes.
type Shape func(n int) string

// Repeat repeats a unit.
func Repeat(unit string) Shape { return Around("", unit, "") }

// Around repeats a unit between a beginning and an end.
func Around(before, unit, after string) Shape {
	return func(n int) string {
		return before + strings.Repeat(unit, max(1, (n-len(before)-len(after))/len(unit))) + after
	}
}

// Nested repeats an opening, and as often a closing.
func Nested(before, after string) Shape {
	return func(n int) string {
		deep := max(1, n/(len(before)+len(after)))
		return strings.Repeat(before, deep) + strings.Repeat(after, deep)
	}
}

// Bytes are shapes that are hard on scanners of any kind: runs of what opens, separates, escapes
// or ends something, closed and not.
func Bytes() map[string]Shape {
	shapes := map[string]Shape{
		"objects":        Nested(`{"a":`, "}"),
		"lists":          Nested("[", "]"),
		"members":        Around("{", `"a":"b",`, `"a":1}`),
		"strings":        Around("[", `"ab",`, `1]`),
		"escapes":        Around(`"`, `\"`, `"`),
		"escaped escape": Around(`"`, `\\`, ``),
		"lone half":      Around(`"`, `\ud800`, `"`),
	}
	for _, unit := range []string{
		"a", "0", " ", "\t", "\n", "\r\n", `"`, `\`, "=", "=a", ",", ", ", ";", ":", ":@", "/", "//", "%", "%2f", "<", ">", "&", "'", "-", "+", ".", "*",
		"\x00", "\x1b[", "\x7f", "\x80", "\xff", "é", "\u0085", "\u2028", "\ufeff", "\u202e", "😀", "http://", "ab", "aab", "{", "}", "[", "sha256=", "Nats-",
	} {
		shapes["run of "+unit] = Repeat(unit)
	}
	return shapes
}

// Linear fails the test if do works more than 2.5 times as much on an input of double length, for
// any of the shapes. Small is the length of the smaller input; the larger one has 16 times that.
func Linear(t *testing.T, small int, shapes map[string]Shape, do func(input string)) {
	t.Helper()
	for _, fault := range Faults(small, shapes, do) {
		t.Error(fault)
	}
}

// Faults returns what Linear fails for.
func Faults(small int, shapes map[string]Shape, do func(input string)) (all []string) {
	bound := 1.0
	for range doublings {
		bound *= most
	}
	for name, shape := range shapes {
		few, many := shape(small), shape(small<<doublings)
		all = least(all, name, func() string {
			a, b := allocated(few, do), allocated(many, do)
			if float64(b) <= bound*float64(a)+overhead {
				return ""
			}
			return fmt.Sprintf("%d bytes allocate %d, and %d bytes %d", len(few), a, len(many), b)
		})
		all = least(all, name, func() string {
			b := cpu(many, do)
			if float64(b) <= bound*float64(tick) {
				return ""
			}
			if a := max(tick, min(cpu(few, do), cpu(few, do), cpu(few, do))); float64(b) > bound*float64(a) {
				return fmt.Sprintf("%d bytes take %v of CPU time, and %d bytes %v", len(few), a, len(many), b)
			}
			return ""
		})
	}
	return all
}

// Bounded fails the test if do allocates more than so many times the length of an input of n
// bytes, for any of the shapes.
func Bounded(t *testing.T, n, times int, shapes map[string]Shape, do func(input string)) {
	t.Helper()
	for name, shape := range shapes {
		input := shape(n)
		for _, fault := range least(nil, name, func() string {
			got := allocated(input, do)
			if got <= uint64(times*len(input)+overhead) {
				return ""
			}
			return fmt.Sprintf("%d bytes allocate %d, %.1f times as much, want at most %d times",
				len(input), got, float64(got)/float64(len(input)), times)
		}) {
			t.Error(fault)
		}
	}
}

// least adds what measure finds to be too much each time: what else runs can make more of the
// work, and nothing can make less of it.
func least(all []string, name string, measure func() (tooMuch string)) []string {
	tooMuch := ""
	for range tries {
		if tooMuch = measure(); tooMuch == "" {
			return all
		}
	}
	return append(all, name+": "+tooMuch)
}

// allocated returns how many bytes do allocates.
func allocated(input string, do func(string)) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do(input)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
