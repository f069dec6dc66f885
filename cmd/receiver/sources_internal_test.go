package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// The streams alone tell what all replicas together have answered.
func TestSourcesStatusFromStreams(t *testing.T) {
	r := newKeysRig(t)
	r.store(map[string][]float64{"crm/new": {2}})
	r.open(func(bus *publish.Bus) {
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

// What answers on the private address but is no receiver is not believed.
func TestSourcesStatusOfSomethingElse(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) }))
	defer server.Close()
	t.Setenv("RECEIVER_PRIVATE_ADDRESS", server.Listener.Addr().String())
	r := newKeysRig(t)
	r.store(map[string][]float64{"crm/new": {2}})
	code, out, talk := r.run("sources", "status")
	if code != exitDone || !strings.Contains(out, "crm") || !strings.Contains(talk, "not that of a receiver") {
		t.Errorf("sources status = exit %d\n%s%s\nwant the streams' word, and why", code, out, talk)
	}
}

func TestLocal(t *testing.T) {
	for address, want := range map[string]string{
		":8081": "127.0.0.1:8081", "0.0.0.0:8081": "127.0.0.1:8081", "[::]:8081": "[::1]:8081",
		"127.0.0.1:8081": "127.0.0.1:8081", "10.0.0.7:8081": "10.0.0.7:8081", "ops.example.com:8081": "ops.example.com:8081",
	} {
		if got := local(address); got != want {
			t.Errorf("local(%q) = %q, want %q", address, got, want)
		}
	}
}
