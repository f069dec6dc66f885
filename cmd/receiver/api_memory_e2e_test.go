//go:build e2e

package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// flat is how much memory uploads through the HTTP API may take together.
const flat = 64 << 20

// residentPeak matches the high-water mark of a process's memory.
var residentPeak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakSoFar is the high-water mark of a running process.
func peakSoFar(t *testing.T, p *process) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("the memory of another process is read from Linux's /proc")
	}
	m := residentPeak.FindSubmatch(text)
	if m == nil {
		t.Fatalf("no VmHWM in %s", text)
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// zeros is a file of a size that costs no memory.
func zeros(size int64) io.Reader { return io.LimitReader(zeroReader{}, size) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Files go through the HTTP API in constant memory: one that is large, and many at once.
func TestUploadsThroughTheAPITakeNoMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector takes memory of its own")
	}
	for _, tt := range []struct {
		name  string
		files int
		size  int64
	}{
		{"one of 1 GiB", 1, 1 << 30},
		{"200 of 5 MiB at once", 200, 5 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := &uploadSink{size: tt.size}
			url, _ := sink.open(t, "http")
			dir, private := configuredAt(t)
			p := startWith(t, dir, "env", "RECEIVER_SOURCES_DEMO_BASE_URL="+url+"/elements/api-v2", "receiver", "serve")
			p.listening(t)
			before := peakSoFar(t, p)
			client := &http.Client{Timeout: 5 * time.Minute}
			var all sync.WaitGroup
			for n := range tt.files {
				all.Go(func() {
					if code, body, err := postFile(t.Context(), client, private, fmt.Sprint("key-", n), zeros(tt.size), tt.size); err != nil || code != http.StatusAccepted {
						t.Errorf("upload %d: %d %s, %v", n, code, body, err)
					}
				})
			}
			all.Wait()
			if got := sink.whole.Load(); got != int64(tt.files) {
				t.Errorf("the platform got %d whole files, want %d", got, tt.files)
			}
			after := peakSoFar(t, p)
			t.Logf("memory: %d MiB before, %d MiB at most", before>>20, after>>20)
			if after-before > flat {
				t.Errorf("the memory grew by %d MiB, want at most %d", (after-before)>>20, flat>>20)
			}
		})
	}
}

// postFile submits a file by the HTTP API.
func postFile(ctx context.Context, client *http.Client, at, key string, file io.Reader, size int64) (code int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/v1/sources/demo/jobs?object=contact", file)
	if err != nil {
		return 0, "", err
	}
	r.ContentLength = size
	r.Header.Set("Content-Type", "text/csv")
	r.Header.Set("Idempotency-Key", key)
	got, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	return got.StatusCode, string(text), err
}
