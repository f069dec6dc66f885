//go:build e2e

package main_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestReliabilityFlood has 1,000 connections send forgeries as fast as they are answered,
// while 100 authentic callbacks come each second. These are answered not much later than
// those that come alone: refusals give way.
func TestReliabilityFlood(t *testing.T) {
	const connections, rounds = 1000, 5
	began := time.Now()
	dir := configured(t)
	serve := start(t, dir, "serve")
	public, _ := serve.listening(t)
	l := &load{sent: map[string]bool{}, acknowledged: map[string]bool{}}
	c := newCaller(public)
	var alone, beside []time.Duration
	refused := 0
	l.steadily(t, c, "warm", time.Second)
	for round := range rounds {
		alone = append(alone, l.steadily(t, c, fmt.Sprint("alone-", round), 1500*time.Millisecond))
		f := startFlood(t, public, connections, forged())
		beside = append(beside, l.steadily(t, c, fmt.Sprint("flood-", round), 1500*time.Millisecond))
		refused += f.end(t)
	}
	eachOnce(t, finishedEvents(t, admitted(t, dir, "all")), l.acknowledged)
	ratio := slower(t, alone, beside, 5)
	if refused == 0 {
		t.Error("nothing was refused")
	}
	fmt.Fprintf(t.Output(), "| 100 callbacks a second, and 1,000 connections that forge: p99 %.1f times that alone | `%s` | %d | %d | %d | %d | %d | %d | %.1f s |\n",
		ratio, t.Name(), len(l.sent), len(l.acknowledged), len(l.acknowledged), 0, 0, 0, time.Since(began).Seconds())
}

// slower returns how many times the p99 alone is that beside a flood, and fails the test if that
// is more than most. With -short it only logs it: then the machine has other work, which falls on
// the one and not on the other.
func slower(t *testing.T, alone, beside []time.Duration, most float64) (ratio float64) {
	t.Helper()
	// On a machine with nothing else to do a callback takes a millisecond or two, and any hiccup
	// of the machine is many times that.
	const hiccup = 5 * time.Millisecond
	slices.Sort(alone)
	slices.Sort(beside)
	// Other work on the machine only adds, so the quarter with the least of it counts.
	quarter := len(alone) / 4
	ratio = float64(beside[quarter]) / float64(alone[quarter])
	t.Logf("p99 alone %v, beside the flood %v", alone, beside)
	if held := float64(beside[quarter]) / float64(max(alone[quarter], hiccup)); held > most && !testing.Short() {
		t.Errorf("p99 beside a flood is %.1f times that alone, want at most %.0f", held, most)
	}
	return ratio
}

// steadily calls back a hundred times a second for a time, and returns the p99 of how long the
// answers took.
func (l *load) steadily(t *testing.T, c caller, prefix string, span time.Duration) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), span+waitTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var all sync.WaitGroup
	took := make([]time.Duration, span/(10*time.Millisecond))
	for i := range took {
		<-tick.C
		all.Go(func() {
			id, began := fmt.Sprint(prefix, "-", i), time.Now()
			_, ok, err := c.finished(ctx, id)
			took[i] = time.Since(began)
			if err != nil {
				t.Errorf("an authentic callback: %v", err)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.sent[id] = true
			if ok {
				l.acknowledged[id] = true
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	return took[len(took)*99/100]
}

// forged is a callback with another key's signature, captured one with the right one.
func forged() []byte {
	body := []byte(`{"id":"forged","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`)
	return captured(body, "another key")
}

func captured(body []byte, key string) []byte {
	return fmt.Appendf(nil, "POST /callbacks/demo HTTP/1.1\r\nHost: x\r\nElements-Webhook-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", sign(key, body), len(body), body)
}

// floods is a process that sends forgeries.
type floods struct {
	*process
	stdin io.Closer
}

// startFlood starts to send requests, in turn, from so many connections.
func startFlood(t *testing.T, public string, connections int, requests ...[]byte) floods {
	t.Helper()
	arguments := []string{strings.TrimPrefix(public, "http://"), fmt.Sprint(connections)}
	for i, request := range requests {
		arguments = append(arguments, filepath.Join(t.TempDir(), fmt.Sprint(i)))
		if err := os.WriteFile(arguments[2+i], request, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &process{cmd: exec.Command("flood", arguments...), out: newOutput(), log: newOutput(), done: make(chan struct{})}
	p.cmd.Env = environment()
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	stdin, err := p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState has the result
		close(p.done)
	}()
	t.Cleanup(p.kill)
	if _, err := p.wait(p.out, regexp.MustCompile("ready")); err != nil {
		t.Fatal(err)
	}
	return floods{p, stdin}
}

// end ends a flood and returns how many answers it got.
func (f floods) end(t *testing.T) (answers int) {
	t.Helper()
	_ = f.stdin.Close() // it ends by that
	m, err := f.wait(f.out, regexp.MustCompile(`answers (\d+)`))
	if err != nil {
		t.Fatal(err)
	}
	<-f.done
	_, err = fmt.Sscan(m[1], &answers)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}
