//go:build e2e && linux

package main_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestReliabilityMemory sends more large bodies at once than limits.bodies has room for, to a
// receiver in a cgroup that would kill it for taking more than was promised: one and a half
// times limits.bodies and 100 MiB for forgeries, three times for authentic ones.
func TestReliabilityMemory(t *testing.T) {
	const bodies = 256 << 20 // limits.bodies by default
	const size = 79 << 20 / 10
	times := 2
	if testing.Short() {
		times = 1
	}
	// Else a quarter of the cgroup's memory would be used for bodies, and not limits.bodies.
	const plenty = "limits: {memory: 4GiB}\n"
	for _, tt := range []struct {
		name, key string
		callers   int
		most      int64
		code      int
		chunked   bool
		config    string
	}{
		{"forged", "another key", 60, bodies*3/2 + 100<<20, http.StatusUnauthorized, false, plenty},
		{"forged, of unknown length", "another key", 60, bodies*3/2 + 100<<20, http.StatusUnauthorized, true, plenty},
		{"forged, and kept whole", "another key", 60, bodies*3/2 + 100<<20, http.StatusUnauthorized, false, "limits: {attempt_body: 8MiB, memory: 4GiB}\n"},
		{"authentic", signatureKey, 50, 3 * bodies, http.StatusOK, false, plenty},
		{"authentic, encrypted", signatureKey, 50, 3 * bodies, http.StatusOK, false,
			plenty + "encryption: {recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]}\n"},
		{"forged, at what the cgroup gives", "another key", 60, 256 << 20, http.StatusUnauthorized, false, ""},
		{"authentic, at what the cgroup gives", signatureKey, 50, 512 << 20, http.StatusOK, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			p, err := newPorts()
			if err == nil {
				err = writeConfig(dir, p, "nats: {embedded: {address: 127.0.0.1:"+p.nats+"}}\n", tt.config)
			}
			if err != nil {
				t.Fatal(err)
			}
			program, limit := inCgroup(t, tt.most)
			serve := startWith(t, dir, program[0], append(program[1:], "serve")...)
			public, _ := serve.listening(t)
			began := time.Now()
			answers := bodiesAtOnce(t, public, tt.key, size, tt.callers, tt.chunked, times)
			peak := peakOf(t, serve)
			if got := answers[tt.code]; got == 0 || answers[tt.code]+answers[http.StatusServiceUnavailable]+answers[0] != times*tt.callers {
				t.Errorf("answers %v, want %d, and 503 for what found no room", answers, tt.code)
			}
			if peak > tt.most {
				t.Errorf("the peak was %.0f MiB, want at most %.0f", mib(peak), mib(tt.most))
			}
			select {
			case <-serve.done:
				t.Fatalf("serve was ended: %v", serve.cmd.ProcessState)
			default:
			}
			t.Logf("answers %v, peak %.0f MiB, %s, %v", answers, mib(peak), limit, time.Since(began).Round(time.Millisecond))
		})
	}
}

// bodiesAtOnce has so many callers send a large body of their own each, some times, and
// counts the answers by their code; none is 0.
func bodiesAtOnce(t *testing.T, public, key string, size, callers int, chunked bool, times int) map[int]int {
	t.Helper()
	var mu sync.Mutex
	answers := map[int]int{}
	client := &http.Client{Timeout: waitTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	for n := range times {
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				head := fmt.Sprintf(`{"id":"%d-%d","status":"COMPLETED","note":"`, n, i)
				body := []byte(head + strings.Repeat("x", size-len(head)-2) + `"}`)
				var from io.Reader = bytes.NewReader(body)
				if chunked {
					from = io.MultiReader(from)
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, public+"/callbacks/demo", from)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Elements-Webhook-Signature", sign(key, body))
				code := 0 // the connection was closed while the body was still being sent
				if answer, err := client.Do(r); err == nil {
					code = answer.StatusCode
					_ = answer.Body.Close()
				}
				mu.Lock()
				defer mu.Unlock()
				answers[code]++
			})
		}
		all.Wait()
	}
	return answers
}

// peakOf returns the most memory, in bytes, that a process had at once.
func peakOf(t *testing.T, p *process) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("serve has gone: %v\n%s", err, tail(p.log.String()))
	}
	m := highWater.FindSubmatch(text)
	if m == nil {
		return math.MaxInt64 // it has ended
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// inCgroup returns the command that starts receiver in a cgroup of its own with so much memory, and
// a description of the limit. Where no cgroup can be created, only the peak is measured.
func inCgroup(t *testing.T, most int64) (program []string, limit string) {
	t.Helper()
	name := fmt.Sprintf("receiver-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	for _, kind := range []struct{ root, file string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"},
	} {
		folder := filepath.Join(kind.root, name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(folder) }) // after the process has gone
		if err := os.WriteFile(filepath.Join(folder, kind.file), []byte(strconv.FormatInt(most, 10)), 0o600); err != nil {
			continue
		}
		return []string{"sh", "-c", `echo $$ >"$0/cgroup.procs" && exec receiver "$@"`, folder}, fmt.Sprintf("%s of %d MiB", kind.file, most>>20)
	}
	return []string{"receiver"}, "no cgroup can be made here, so nothing would have killed it"
}
