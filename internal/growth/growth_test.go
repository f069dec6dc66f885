package growth_test

import (
	"strings"
	"testing"

	"receiver/internal/growth"
)

// A function that reads each byte once is linear for any bytes.
func TestLinearPasses(t *testing.T) {
	growth.Linear(t, 16<<10, growth.Bytes(), func(s string) { _ = strings.ToUpper(strings.ReplaceAll(s, "a", "b")) })
}

// A quadratic function is found by its allocations, or by the CPU time of its thread.
func TestQuadraticIsFound(t *testing.T) {
	run := map[string]growth.Shape{"run": growth.Repeat("a")}
	if found := growth.Faults(1<<10, run, func(s string) {
		for i := range len(s) {
			_ = strings.Repeat(s[:1], i) + "!"
		}
	}); len(found) == 0 {
		t.Error("allocating as much as the square of the input is no fault")
	}
	if !growth.TimesThreads {
		t.Skip("CPU time is measured on Linux and without the race detector only")
	}
	if found := growth.Faults(1<<11, run, func(s string) {
		for i := range len(s) {
			for _, c := range []byte(s[i:]) {
				if c == 'b' {
					return
				}
			}
		}
	}); len(found) != 1 {
		t.Errorf("found %q in a scan for each byte, want one fault", found)
	}
}
