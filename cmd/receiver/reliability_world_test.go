//go:build e2e

package main_test

import (
	"cmp"
	"context"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	program "receiver/cmd/receiver"
	"receiver/internal/simulator"
)

// plan is what a run begins with. In the texts $API is the platform's address and $FRONT
// the receivers' as the platform calls it.
type plan struct {
	platform simulator.Options
	// replicas is how many receivers run on one NATS server.
	replicas int
	// source is added to the source demo, or goes on after it.
	source string
	// timeout is how long the platform and NATS are waited for; 0 means 500 ms. Jobs that a killed
	// receiver was polling for are taken over after 14 times that.
	timeout time.Duration
	// program runs receiver n, with its first arguments; nil means receiver.
	program func(n int) []string
}

// world is a simulated platform, the receivers that it calls, and the streams.
type world struct {
	*simulator.Platform
	t         *testing.T
	api       string
	front     *front
	replicas  []*replica
	ledger    *ledger
	js        jetstream.JetStream
	submitter *program.Submitter
	began     time.Time
	called    map[string]int // callbacks that the test itself made, by job; guarded by ledger.mu
}

func newWorld(t *testing.T, p plan) *world {
	t.Helper()
	p.platform.SignatureKey, p.platform.Element, p.platform.User = signatureKey, "the-element-token-of-the-tests", "the-user-secret-of-the-tests"
	w := &world{t: t, Platform: simulator.New(p.platform), called: map[string]int{}}
	server := httptest.NewServer(w.Platform)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = w.Close() })
	w.api = server.URL + simulator.Base
	url := startNATS(t)
	var behind []string
	ports := make([]ports, p.replicas)
	for i := range ports {
		var err error
		if ports[i], err = newPorts(); err != nil {
			t.Fatal(err)
		}
		behind = append(behind, "127.0.0.1:"+ports[i].public)
	}
	w.front = newFront(t, behind...)
	for i := range ports {
		r := &replica{dir: t.TempDir(), public: "http://127.0.0.1:" + ports[i].public, private: "http://127.0.0.1:" + ports[i].private}
		if p.program != nil {
			r.program = p.program(i)
		}
		w.configure(r, p, ports[i], url)
		w.replicas = append(w.replicas, r)
	}
	for _, r := range w.replicas {
		r.up(t)
	}
	w.js = connect(t, url)
	w.ledger = readLedger(t, w.js)
	var err error
	if w.submitter, err = program.OpenSubmitter(t.Context(), filepath.Join(w.replicas[0].dir, "config.yaml"), "demo"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.submitter.Close)
	w.began = time.Now()
	return w
}

// configuration is that of every receiver of a run.
const configuration = `sources:
  demo:
    base_url: $API
    hub: marketing
    element_token: the-element-token-of-the-tests
    user_secret: the-user-secret-of-the-tests
    signature_keys:
      - name: first
        value: file:first.key
    callback_base_url: $FRONT
    timeouts:
      request: $TIMEOUT
$SOURCE
token_secret: the-token-secret-of-the-tests
public:
  address: 127.0.0.1:$PUBLIC
private:
  address: 127.0.0.1:$PRIVATE
limits:
  publish_timeout: $TIMEOUT
nats:
  mode: external
  urls: [$NATS]
`

func (w *world) configure(r *replica, p plan, at ports, url string) {
	w.t.Helper()
	text := strings.Replace(configuration, "$SOURCE", p.source, 1)
	text = strings.NewReplacer("$API", w.api, "$FRONT", "http://"+w.front.addr, "$PUBLIC", at.public, "$PRIVATE", at.private,
		"$NATS", url, "$TIMEOUT", cmp.Or(p.timeout, 500*time.Millisecond).String()).Replace(text)
	r.write(w.t, "first.key", signatureKey+"\n")
	r.write(w.t, "config.yaml", text)
}

// quiet waits until the platform has finished all its work and no job is watched any more.
func (w *world) quiet() {
	w.t.Helper()
	w.platformAtRest()
	w.eventually(w.t, "no job is watched any more", func() bool { return messages(w.t, w.js, "WATCH") == 0 })
}

// stop ends every receiver as an operator does, which must be a clean end. Then the ledger is
// complete.
func (w *world) stop() {
	w.t.Helper()
	for i, r := range w.replicas {
		if code, err := r.end(syscall.SIGTERM); err != nil || code != 0 {
			w.t.Errorf("replica %d ended with exit code %d, %v, want 0", i, code, err)
		}
	}
	w.ledger.complete(w.t, w.js)
}

// platformAtRest waits until the platform has nothing under way.
func (w *world) platformAtRest() (at simulator.Stats) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), longTimeout)
	defer cancel()
	if err := w.Wait(ctx, func(s simulator.Stats) bool {
		at = s
		return s.Finished == s.Jobs && s.Open == 0
	}); err != nil {
		w.t.Fatal(err)
	}
	return at
}

// eventually waits for a state that no message announces.
func (w *world) eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(longTimeout)
	defer timeout.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("not within %v: %s", longTimeout, what)
		}
	}
}
