package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// uploadLimit is what submit may take at its peak, however large the file: 64 MiB.
const uploadLimit = 64 << 20

// TestUploadTakesLittleMemory uploads 64 MiB; with the build tag e2e there is one of 1 GiB.
func TestUploadTakesLittleMemory(t *testing.T) { uploads(t, 64<<20) }

// uploads sends a file of that size through receiver submit, once through a running
// serve and once with submit as the owner of the store, and measures its memory.
func uploads(t *testing.T, size int64) {
	if runtime.GOOS != "linux" {
		t.Skip("the peak of another process's memory is read from Linux's /proc")
	}
	if raceDetector {
		t.Skip("the race detector takes memory of its own")
	}
	for _, withServe := range []bool{true, false} {
		t.Run(fmt.Sprintf("serve=%v", withServe), func(t *testing.T) {
			dir := t.TempDir()
			received := uploadFolder(t, dir, size)
			if withServe {
				serve := start(t, dir, "serve")
				serve.listening(t)
				defer func() {
					if _, err := serve.end(syscall.SIGTERM); err != nil {
						t.Error(err)
					}
				}()
			}
			began := time.Now()
			submit := start(t, dir, "submit", "--object", "contact", "--file", "large.csv")
			peak := peakMemory(t, submit)
			took := time.Since(began)
			if code := submit.cmd.ProcessState.ExitCode(); code != 0 {
				t.Fatalf("submit = exit %d, want 0:\n%s", code, tail(submit.log.String()))
			}
			if got := received.Load(); got <= size {
				t.Errorf("the platform got %d bytes, want a form with a file of %d", got, size)
			}
			if peak > uploadLimit {
				t.Errorf("submit took %.1f MiB at its peak, want at most %d", mib(peak), uploadLimit>>20)
			}
			t.Logf("%.0f MiB in %v, peak memory %.1f MiB", mib(size), took.Round(10*time.Millisecond), mib(peak))
		})
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// uploadFolder makes a folder with a configuration and a file to upload, and a platform
// that takes uploads and does nothing with them; it returns how many bytes that got.
func uploadFolder(t *testing.T, dir string, size int64) *atomic.Int64 {
	t.Helper()
	var received atomic.Int64
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		received.Store(n)
		fmt.Fprint(w, `{"id":"1","status":"CREATED"}`)
	}))
	t.Cleanup(sink.Close)
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	p.platform = sink.URL[len("http://127.0.0.1:"):]
	if err := writeConfig(dir, p); err != nil {
		t.Fatal(err)
	}
	large, err := os.Create(filepath.Join(dir, "large.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	// It begins as CSV does. The rest has no blocks on the disk, so what is measured is submit
	// and not the disk.
	if _, err := large.WriteString(strings.Repeat("id,name\n", 1<<14)); err != nil {
		t.Fatal(err)
	}
	if err := large.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return &received
}

var highWater = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// peakMemory waits for the end of a process and returns the most memory, in bytes, that
// was resident at once. The kernel keeps the peak, so it is enough to look now and then;
// the rusage of a child of Go would begin with its parent's memory.
func peakMemory(t *testing.T, p *process) int64 {
	t.Helper()
	status := fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)
	var peak int64
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(5 * time.Minute)
	defer timeout.Stop()
	for {
		if text, err := os.ReadFile(status); err == nil {
			if m := highWater.FindSubmatch(text); m != nil {
				kib, err := strconv.ParseInt(string(m[1]), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				peak = max(peak, kib<<10)
			}
		}
		select {
		case <-tick.C:
		case <-p.done:
			if peak == 0 {
				t.Fatalf("%s was never read:\n%s", status, tail(p.log.String()))
			}
			return peak
		case <-timeout.C:
			t.Fatal("the upload takes more than five minutes")
		}
	}
}
