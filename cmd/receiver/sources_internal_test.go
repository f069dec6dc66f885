package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// The streams alone tell what all replicas together have answered.
func TestSourcesStatusFromStreams(t *testing.T) {
	t.Parallel()
	r := newKeysRig(t)
	r.store(map[string][]float64{"crm/new": {2}})
	r.open(func(bus *publish.Store) {
		for _, a := range []struct {
			source, verdict, body string
			ago                   time.Duration
		}{
			{"crm", "mismatch", "a", 80 * time.Second}, {"crm", "mismatch", "a", 72 * time.Second}, {"crm", "missing", "b", 10 * time.Second},
			{job.NoSource, job.UnknownSource, "c", time.Second},
		} {
			if err := bus.Record(t.Context(), job.Attempt{
				Source: a.source, Verdict: a.verdict, SHA256: job.BodySHA256([]byte(a.body)),
				Receipt: job.Receipt{Received: time.Now().Add(-a.ago)},
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
	code, out, talk := r.run("sources", "status", "--streams")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != exitDone || len(lines) != 3 {
		t.Fatalf("sources status = exit %d\n%s%s", code, out, talk)
	}
	for _, want := range []string{"crm ", "  2 ", "mismatch", "  4 ", "mismatch 2, missing 1"} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("the line of crm lacks %q:\n%s", want, out)
		}
	}
	if fields := strings.Fields(lines[2]); strings.Join(fields, " ") != "erp - 0 - 0 - 5 0 -" {
		t.Errorf("the line of erp is %q, want nothing known", fields)
	}
}

// A process that took the private port gets no token, and is not believed: it gets no request.
func TestAnImpostorOnThePrivatePortGetsNothing(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(`{"since":"2026-01-01T00:00:00Z","sources":[{"name":"crm","attempts_left":5}]}`))
	}))
	defer server.Close()
	t.Setenv("RECEIVER_PRIVATE_ADDRESS", server.Listener.Addr().String())
	t.Setenv("RECEIVER_PRIVATE_TOKEN", "the-token-of-the-operators")
	r := newKeysRig(t)
	r.store(map[string][]float64{"crm/new": {2}})
	for _, args := range [][]string{{"sources", "status"}, {"tokens", "list"}, {"config", "check"}, {"doctor", "--timeout", "1s"}} {
		_, out, talk := r.run(args...)
		if args[0] == "sources" && (!strings.Contains(out, "crm") || !strings.Contains(talk, "the table is computed from the streams")) {
			t.Errorf("sources status = %s%s\nwant that the streams are its source", out, talk)
		}
		if n := asked.Swap(0); n > 0 {
			t.Errorf("receiver %v asked whoever has the private port %d times", args, n)
		}
	}
	// Without a folder a listener cannot prove its owner.
	t.Setenv("RECEIVER_NATS_MODE", "external")
	t.Setenv("RECEIVER_NATS_SYNC", "")
	t.Setenv("RECEIVER_NATS_URLS", "nats://127.0.0.1:1")
	if _, out, talk := r.run("sources", "status"); asked.Load() > 0 || !strings.Contains(talk, "no token is sent") {
		t.Errorf("sources status on a cluster = %s%s, and asked %d times", out, talk, asked.Load())
	}
}
