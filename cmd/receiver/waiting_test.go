package main_test

import (
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// waitingForNATS starts a receiver whose NATS server is unreachable.
func waitingForNATS(t *testing.T, p ports, urls string) *replica {
	t.Helper()
	r := &replica{dir: t.TempDir()}
	if err := writeConfig(r.dir, p, "nats:\n  mode: external\n  urls: ["+urls+"]\n"); err != nil {
		t.Fatal(err)
	}
	r.process = startWith(t, r.dir, "receiver", "serve")
	r.awaitLog(t, 0, `"public":"http://`+p.host+":"+p.public+`".*"message":"listening without NATS;`)
	return r
}

// asked returns the status and the body of an answer to GET.
func asked(t *testing.T, url string) (int, string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// NATS comes after the receiver, and one of its addresses is wrong.
func TestServeWaitsForNATS(t *testing.T) {
	t.Parallel()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	url := "nats://" + p.host + ":" + p.nats
	r := waitingForNATS(t, p, "nats://nowhere.invalid:4222, "+url)
	public, private := "http://"+p.host+":"+p.public, "http://"+p.host+":"+p.private
	if code, _ := asked(t, public+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz of the public listener = %d, want 200", code)
	}
	if code, _ := asked(t, private+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz of the private listener = %d, want 200", code)
	}
	code, why := asked(t, private+"/readyz")
	for _, want := range []string{"waiting for NATS", url + ": ", "connection refused", "nats://nowhere.invalid:4222: "} {
		if code != http.StatusServiceUnavailable || !strings.Contains(why, want) {
			t.Errorf("/readyz = %d %s, want 503 with %q", code, why, want)
		}
	}
	platform := newCaller(public)
	if _, ok, err := platform.finished(t.Context(), "7"); ok || err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a callback while NATS is away = %v, %v, want 503", ok, err)
	}
	for _, want := range []string{`receiver_callbacks_rejected_total{answer="Service Unavailable"} 1`, `receiver_store_state{state="away"} 1`} {
		if _, text := asked(t, private+"/metrics"); !strings.Contains(text, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if code, said := r.command(t, "jobs", "list"); code != 1 || !strings.Contains(said, url+": ") {
		t.Errorf("jobs list = exit %d, %s, want 1 with the URL", code, said)
	}
	r.hup(t)
	mark := r.logged()
	startWith(t, ".", "nats-server", "-js", "-sd", t.TempDir(), "-a", p.host, "-p", p.nats)
	r.awaitLog(t, mark, `"message":"listening"`)
	r.awaitLog(t, mark, `"message":"SIGHUP received; the receiver reads the configuration again"`)
	r.awaitLog(t, mark, `"url":"nats://nowhere.invalid:4222".*"message":"one of nats.urls cannot be reached; the receiver uses another one"`)
	if _, said := r.command(t, "doctor"); !strings.Contains(said, "warning  nats       nats://nowhere.invalid:4222: ") {
		t.Errorf("doctor says %s, want a warning of the wrong URL", said)
	}
	if outcome, ok, err := platform.finished(t.Context(), "7"); !ok || outcome != "accepted" {
		t.Errorf("the callback again = %s, %v, want accepted", outcome, err)
	}
	if _, text := asked(t, private+"/metrics"); !strings.Contains(text, `receiver_store_state{state="ok"} 1`) {
		t.Error("/metrics does not say that the store is reached")
	}
	if code, said := asked(t, private+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz = %d %s, want 200", code, said)
	}
	if code, err := r.end(syscall.SIGTERM); err != nil || code != 0 {
		t.Errorf("serve = exit %d, %v, want 0", code, err)
	}
}

// Each is waited for as a cluster that is away: it may become right by what others do.
func TestServeWaitsForWhatMayPass(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	for name, tt := range map[string]struct {
		flags []string
		url   func(p ports) string
		why   string
	}{
		"credentials": {[]string{"-js", "--user", "u", "--pass", "hunter2"}, nil, "Authorization Violation"},
		"JetStream":   {nil, nil, "no responders|not enabled"},
		"silence":     {nil, func(ports) string { return "nats://" + ln.Addr().String() }, "no answer|timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := newPorts()
			if err != nil {
				t.Fatal(err)
			}
			url := "nats://" + p.host + ":" + p.nats
			if tt.url != nil {
				url = tt.url(p)
			} else {
				server := startWith(t, ".", "nats-server", append(tt.flags, "-sd", t.TempDir(), "-a", p.host, "-p", p.nats)...)
				if _, err := server.wait(server.log, regexp.MustCompile("Server is ready")); err != nil {
					t.Fatal(err)
				}
			}
			r := waitingForNATS(t, p, url)
			r.awaitLog(t, 0, `"level":"warn","error":"[^"]*(`+tt.why+`).*"message":"waiting for NATS;`)
			if code, why := asked(t, "http://"+p.host+":"+p.private+"/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(why, url) {
				t.Errorf("/readyz = %d %s, want 503 with %s", code, why, url)
			}
			begin := time.Now()
			if code, err := r.end(syscall.SIGTERM); err != nil || code != 0 || time.Since(begin) > 10*time.Second {
				t.Errorf("serve = exit %d, %v after %v, want 0 at once", code, err, time.Since(begin))
			}
		})
	}
}

// An error that needs a change by an operator ends serve, and the message says what to do.
func TestServeDoesNotWaitForWhatStaysWrong(t *testing.T) {
	t.Parallel()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	server := startWith(t, ".", "nats-server", "-js", "-sd", t.TempDir(), "-a", p.host, "-p", p.nats)
	if _, err := server.wait(server.log, regexp.MustCompile("Server is ready")); err != nil {
		t.Fatal(err)
	}
	url := "nats://" + p.host + ":" + p.nats
	js := connect(t, url)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	r := &replica{dir: t.TempDir()}
	if err := writeConfig(r.dir, p, "nats:\n  mode: external\n  urls: ["+url+"]\n"); err != nil {
		t.Fatal(err)
	}
	code, said := r.command(t, "serve")
	if code != 1 || !strings.Contains(said, "the stream exists with another configuration") {
		t.Errorf("serve = exit %d, %s, want 1 with what is wrong with the stream", code, said)
	}
}
