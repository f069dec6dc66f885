//go:build e2e && unix

package main_test

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestReliabilityDescriptors has more connections than serve may have files open come from another
// address and send nothing, or half a request, on each of its listeners, while the store must open
// further files. Authentic callbacks are answered 200 meanwhile and afterwards, each at once.
func TestReliabilityDescriptors(t *testing.T) {
	const files, connections = 256, 400
	for _, tt := range []struct {
		name, says string
		port       func(ports) string
	}{
		{"that say nothing", "", func(p ports) string { return p.public }},
		{"with half a request", "POST /callbacks/demo HTTP/1.1\r\nHost: x\r\nX-Half: ", func(p ports) string { return p.public }},
		{"to the private listener", "", func(p ports) string { return p.private }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			p, err := newPorts()
			if err == nil {
				err = writeConfig(dir, p, "nats: {embedded: {address: 127.0.0.1:"+p.nats+"}}\n", "limits: {read_header_timeout: 1s}\n")
			}
			if err != nil {
				t.Fatal(err)
			}
			serve := startWith(t, dir, "sh", "-c", fmt.Sprintf("ulimit -n %d && exec receiver serve", files))
			public, _ := serve.listening(t)
			began := time.Now()
			c := newCaller(public)
			c.client.Transport = &http.Transport{DisableKeepAlives: true}
			sent := map[string]bool{}
			call := func(when string) {
				t.Helper()
				id := fmt.Sprint("job-", len(sent))
				sent[id] = true
				if _, ok, err := c.finished(t.Context(), id); !ok {
					t.Errorf("%s: %v", when, err)
				}
			}
			call("before")
			end := flooded(t, "127.0.0.1:"+tt.port(p), connections, tt.says)
			// Two of these fill a file of the stream.
			if answers := bodiesAtOnce(t, public, signatureKey, 5<<20, 1, false, 5); answers[http.StatusOK] != 5 {
				t.Errorf("large callbacks beside the flood: %v, want 200", answers)
			}
			call("beside the flood")
			end()
			call("after the flood")
			if log := serve.log.String(); strings.Contains(log, "too many open files") {
				t.Errorf("serve ran out of files:\n%s", tail(log))
			}
			if t.Failed() {
				return
			}
			eachOnce(t, only(finishedEvents(t, admitted(t, dir, "all")), sent), sent)
			blocks, err := filepath.Glob(filepath.Join(dir, "receiver-data", "jetstream", "*", "streams", "JOBS", "msgs", "*.blk"))
			if err != nil || len(blocks) < 2 {
				t.Errorf("JOBS has %d files, %v; want that it began another one", len(blocks), err)
			}
			t.Logf("%d callbacks, JOBS in %d files, %v", len(sent), len(blocks), time.Since(began).Round(time.Millisecond))
		})
	}
}

// flooded keeps so many connections open to an address, each with some bytes sent, opens them again
// when they are closed, and returns a func that ends them. They come from an address that is not
// the platform's: those of one address take places from each other.
func flooded(t *testing.T, address string, connections int, says string) (end func()) {
	t.Helper()
	from := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if c, err := from.DialContext(t.Context(), "tcp", address); err != nil {
		t.Skipf("this machine has no second loopback address: %v", err)
	} else {
		_ = c.Close()
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			for {
				conn, err := from.DialContext(t.Context(), "tcp", address)
				if err == nil {
					stop := make(chan struct{})
					go func() {
						defer close(stop)
						_, _ = conn.Write([]byte(says))
						_, _ = conn.Read(make([]byte, 1<<10))
					}()
					select {
					case <-stop:
					case <-done:
					}
					_ = conn.Close()
					<-stop
				}
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	return func() {
		close(done)
		all.Wait()
	}
}

// only leaves the events of those jobs.
func only(events map[string]int, jobs map[string]bool) map[string]int {
	left := map[string]int{}
	for id := range jobs {
		left[id] = events[id]
	}
	return left
}
