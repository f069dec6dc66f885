package bench_test

import (
	"os"
	"path/filepath"
	"testing"

	"receiver/internal/bench"
)

func TestAProfileIsLeftInItsFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "profiles")
	for range 2 { // a second one replaces the first
		stop, err := bench.Profile(folder, "receiver, accepted")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bench.Profile(folder, "another"); err == nil {
			t.Error("two profiles at a time = nil, want an error")
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"receiver--accepted.cpu", "receiver--accepted.allocs", "receiver--accepted.allocs-before"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, want a profile", name, err)
		}
	}
}
