//go:build e2e

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The limits of the soak. A job costs about 280 lasting bytes; the rest varies with garbage that
// was not collected yet.
const (
	soakRate     = 500 // callbacks a second
	bytesOfAJob  = 400
	soakGarbage  = 32 << 20
	soakSenders  = 64
	soakMost     = 128 << 20 // after the first minute
	soakMinutes  = 10
	quickMinutes = 4
)

// TestReliabilitySoak sends 500 callbacks a second, each for a new job, to a receiver with the
// embedded store for ten minutes. Its memory is flat after the first but for 400 bytes a job,
// and every callback is answered 200. Under -short a minute takes ten seconds.
func TestReliabilitySoak(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the memory of another process is read from Linux's /proc")
	}
	if raceDetector {
		t.Skip("the race detector takes memory of its own")
	}
	minute, minutes := time.Minute, soakMinutes
	if testing.Short() {
		minute, minutes = 10*time.Second, quickMinutes
	}
	serve := start(t, configured(t), "serve")
	public, _ := serve.listening(t)
	s := &soak{caller: newCaller(public), due: make(chan int, 10*soakRate)}
	var senders sync.WaitGroup
	for range soakSenders {
		senders.Go(func() { s.send(t) })
	}
	var rows strings.Builder
	began := time.Now()
	tick := time.NewTicker(time.Second / soakRate)
	defer tick.Stop()
	var first, last int64
	jobs := 0
	for m := 1; m <= minutes; m++ {
		for time.Since(began) < time.Duration(m)*minute {
			<-tick.C
			for due := int(time.Since(began).Seconds() * soakRate); jobs < due; jobs++ {
				s.due <- jobs
			}
		}
		last = residentMemory(t, serve)
		each := ""
		if m == 1 {
			first = last
		} else {
			each = fmt.Sprint((last - first) / int64(jobs-int(minute.Seconds()*soakRate)))
		}
		fmt.Fprintf(&rows, "\n| `TestReliabilitySoak` | %v | %d | %.0f MiB | %s |", (time.Duration(m) * minute), s.answered.Load(), mib(last), each)
	}
	close(s.due)
	senders.Wait()
	t.Log(rows.String())
	if got := int(s.answered.Load()); got != jobs {
		t.Errorf("%d of %d callbacks were answered 200", got, jobs)
	}
	if first > soakMost {
		t.Errorf("after the first minute the receiver takes %.0f MiB, want at most %d", mib(first), soakMost>>20)
	}
	after := jobs - int(minute.Seconds()*soakRate)
	if most := first + int64(after)*bytesOfAJob + soakGarbage; last > most {
		t.Errorf("at the end the receiver takes %.0f MiB after %.0f and %d jobs, want at most %.0f", mib(last), mib(first), after, mib(most))
	}
}

// soak is the senders of callbacks that fall due.
type soak struct {
	caller
	due      chan int
	answered atomic.Int64
	first    sync.Once // error is reported
}

func (s *soak) send(t *testing.T) {
	for i := range s.due {
		// Ids as the platform gives them.
		_, ok, err := s.finished(t.Context(), strconv.Itoa(42_000_000+i))
		if ok {
			s.answered.Add(1)
			continue
		}
		s.first.Do(func() { t.Errorf("callback %d: %v", i, err) })
	}
}

var resident = regexp.MustCompile(`VmRSS:\s*(\d+) kB`)

// residentMemory returns how much memory of a process is resident now, in bytes.
func residentMemory(t *testing.T, p *process) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	m := resident.FindSubmatch(text)
	if m == nil {
		t.Fatalf("no memory in:\n%s", text)
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
