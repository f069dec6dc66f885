package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"receiver/internal/cluster"
)

// TestMain makes the test binary a server where up starts itself.
func TestMain(m *testing.M) {
	if os.Getenv(isNode) != "" {
		os.Exit(cluster.Main())
	}
	os.Exit(m.Run())
}

// printed is what up has said so far.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// await waits for a match.
func (p *printed) await(t *testing.T, pattern string) []string {
	t.Helper()
	expression, timeout := regexp.MustCompile(pattern), time.After(time.Minute)
	for {
		p.mu.Lock()
		text := p.text.String()
		p.mu.Unlock()
		if m := expression.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-timeout:
			t.Fatalf("no %q in\n%s", pattern, text)
		}
	}
}

func TestAClusterComesUpAndLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out printed
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-domain", "hub"}, &out) }()
	pid, err := strconv.Atoi(out.await(t, `n2 is process (\d+) at tls://127.0.0.1:`)[1])
	if err != nil {
		t.Fatal(err)
	}
	out.await(t, `(?s)ready.*mode: external\n  urls: \[(tls://127.0.0.1:\d+(, )?){3}\].*domain: hub\n  replicas: 3\n`)
	node, err := os.FindProcess(pid)
	if err == nil {
		err = node.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	out.await(t, `n2 ended \(signal: killed\), and is started again in 10s`)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run = %v, want nil", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left, want nothing", left, err)
	}
}

func TestItsTimeEndsIt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if err := run(t.Context(), []string{"-for", "1ms"}, &printed{}); err == nil {
		t.Error("run = nil before the servers were ready, want an error that says so")
	}
}
