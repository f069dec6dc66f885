//go:build e2e

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// clockBuild is where receiver and nats-server are that have clocks which can be set.
type clockBuild struct{ receiver, server string }

// buildWithClocks builds both with a time.Now to which jump of testdata/clock is added, and
// which is nothing else than the wall clock that the machine would have been set to: not the
// monotonic one, by which timers go, and not that of files' times, which is the kernel's.
func buildWithClocks(t *testing.T) clockBuild {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Skipf("the source of the standard library is not there: %v", err)
	}
	const now = "sec, nsec, mono := runtimeNow()\n"
	if n := bytes.Count(text, []byte(now)); n != 1 {
		t.Fatalf("%s holds %q %d times, want once: %s has another time.Now, which this test must learn", source, now, n, runtime.Version())
	}
	shifted := filepath.Join(dir, "time.go")
	text = bytes.Replace(text, []byte(now), []byte(now+"\tsec += jump()\n"), 1)
	if err := os.WriteFile(shifted, text, 0o600); err != nil {
		t.Fatal(err)
	}
	jump, err := filepath.Abs(filepath.Join("testdata", "clock", "jump.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		source: shifted, filepath.Join(filepath.Dir(source), "jump.go"): jump,
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", file, "-o", dir+string(os.PathSeparator), ".", "receiver/internal/cluster/up")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, said)
	}
	t.Logf("built in %.0f s", time.Since(began).Seconds())
	return clockBuild{receiver: filepath.Join(dir, "receiver"), server: filepath.Join(dir, "up")}
}

// wallClock is the clock of one process.
type wallClock struct {
	t    *testing.T
	file string
}

func newWallClock(t *testing.T) wallClock {
	t.Helper()
	c := wallClock{t: t, file: filepath.Join(t.TempDir(), "clock")}
	c.set(0)
	return c
}

// set sets the clock off the machine's.
func (c wallClock) set(off time.Duration) {
	c.t.Helper()
	if err := os.WriteFile(c.file+".new", fmt.Append(nil, int64(off/time.Second)), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(c.file+".new", c.file); err != nil {
		c.t.Fatal(err)
	}
}

// on is the command that runs a program of clockBuild by this clock.
func (c wallClock) on(program string) []string {
	return []string{"env", "TEST_CLOCK=" + c.file, "UP_IS_NODE=1", program}
}
