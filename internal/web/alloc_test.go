//go:build !race

package web_test

import (
	"net/http"
	"testing"

	"receiver/internal/bench/ceiling"
	"receiver/internal/tracing"
)

// Allocations are counted where time cannot be: on any machine, however busy. Left out of
// race builds, in which sync.Pool drops values at random.
//
// The bounds are over what Echo and the reading of the body take by themselves. They are
// tight on purpose: who needs one more changes the number, and says why.
func TestAllocationsOverEcho(t *testing.T) {
	echo := allocations(t, ceiling.New(benchVerifier(t), stored), benchKey)
	for _, tt := range []struct {
		name, key string
		most      float64
	}{
		{"accepted", benchKey, 7},
		{"refused", "another", 2},
	} {
		if got := allocations(t, public(t), tt.key) - echo; got > tt.most {
			t.Errorf("a callback that is %s allocates %v times over Echo's %v, want at most %v", tt.name, got, echo, tt.most)
		}
	}
}

// A callback whose trace is not sampled allocates as if tracing were off.
func TestUnsampledCallbacksAllocateNothing(t *testing.T) {
	tracer := tracing.New(tracing.Options{Endpoint: "http://127.0.0.1:1"})
	defer tracer.Stop()
	for _, key := range []string{benchKey, "another"} {
		if off, on := allocations(t, public(t), key), allocations(t, traced(t, tracer), key); on > off {
			t.Errorf("a callback that is not sampled allocates %v times, and %v without tracing", on, off)
		}
	}
}

func allocations(t *testing.T, h http.Handler, key string) float64 {
	t.Helper()
	serve := repeated(t, h, key)
	if want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[key == benchKey]; serve() != want {
		t.Fatalf("the callback was not answered %d", want)
	}
	return testing.AllocsPerRun(500, func() { serve() })
}
