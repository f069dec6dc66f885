package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service"
	"receiver/internal/sink"
)

// TestSinksOfARunningReceiver: what a sink does not accept is in the list, in doctor and in the
// metrics, and is posted again by replay, which is recorded.
func TestSinksOfARunningReceiver(t *testing.T) {
	t.Parallel()
	var accepts atomic.Bool
	got := make(chan string, 100)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !accepts.Load() {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		got <- r.Header.Get("webhook-id")
	}))
	defer endpoint.Close()
	r := &retryRig{t: t, folder: t.TempDir()}
	const secret = "the-secret-of-the-endpoint"
	text := `
public: {address: 127.0.0.1:0}
private: {address: 127.0.0.1:0}
nats: {embedded: {address: 127.0.0.1:0}}
sources: {demo: {signature_keys: [{value: the-key-of-the-callbacks}]}}
sinks: [{name: orders, url: ` + endpoint.URL + `, secret: whsec_` + base64.StdEncoding.EncodeToString([]byte(secret)) + `, kinds: [finished], from: all}]
`
	path := filepath.Join(r.folder, "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := service.ReadConfig(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := service.Start(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, e := range []job.Event{natstest.Event(job.Submitted, "7", "CREATED"), natstest.Called(job.Finished, "7", "COMPLETED")} {
		if _, err := in.Store().Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	var reports []sink.Report
	natstest.Eventually(t, "the sink to have refused the event", func() bool {
		code, out, talk := r.run("sinks", "list", "-o", "json")
		if err := json.Unmarshal([]byte(out), &reports); err != nil || code != exitDone {
			t.Fatalf("sinks list = exit %d, %s%s: %v", code, out, talk, err)
		}
		return reports[0].Retrying == 1
	})
	if d := reports[0].Open; len(reports) != 1 || len(d) != 1 || d[0].Job != "demo.7" || d[0].Next != 2 || d[0].Tries != 1 || d[0].Error != "answered 418" {
		t.Errorf("sinks list -o json = %+v, want the finished event, answered 418", reports)
	}
	if _, out, _ := r.run("sinks", "list"); strings.Join(strings.Fields(out), " ") != "SINK PENDING RETRYING GIVEN UP orders 0 1 0" {
		t.Errorf("sinks list = %s", out)
	}
	if _, out, _ := r.run("sinks", "list", "orders"); !strings.Contains(out, "answered 418") || !strings.Contains(out, "demo") {
		t.Errorf("sinks list orders = %s, want the job and why", out)
	}
	if _, out, _ := r.run("doctor", "-o", "json", "--timeout", "20s"); !strings.Contains(out, `"check":"sinks","severity":"warning","what":"sink orders does not accept events of 1 job`) {
		t.Errorf("doctor = %s, want a warning of check sinks", out)
	}
	accepts.Store(true)
	for args, want := range map[string]string{
		"replay": "see `receiver sinks replay --help`", "replay orders": "give either --all, or both --source and --job",
		"replay orders --all --job 7": "give either", "replay orders --job 7": "give either", "replay other --all": `no sink "other"; it has: orders`,
		"replay orders --source demo --job 8": "no event is given up or retried of what you ask for", "list other": "it has: orders",
	} {
		if code, _, talk := r.run(append([]string{"sinks"}, strings.Fields(args)...)...); code == exitDone || !strings.Contains(talk, want) {
			t.Errorf("sinks %s = exit %d, %s, want %q", args, code, talk, want)
		}
	}
	answer, err := http.Get(in.PrivateURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	for _, want := range []string{
		`receiver_sink_posts_total{outcome="failed",sink="orders"} 1`, `receiver_sink_retrying_jobs{sink="orders"} 1`,
		`receiver_sink_pending_events{sink="orders"} 0`, `receiver_sink_given_up_events{sink="orders"} 0`,
	} {
		if err != nil || !strings.Contains(string(metrics), want) {
			t.Errorf("the metrics lack %s (%v)", want, err)
		}
	}
	if code, _, talk := r.run("sinks", "replay", "orders", "--source", "demo", "--job", "7", "--reason", "repaired"); code != exitDone {
		t.Fatalf("sinks replay = exit %d, %s", code, talk)
	}
	var recorded string
	if id := <-got; id != "demo.7.finished" {
		t.Errorf("the endpoint got %s, want demo.7.finished", id)
	}
	for m, err := range in.Store().Messages(t.Context(), publish.Watch{Stream: conn.ActionsStream, Subjects: []string{"actions.sink_replay"}}) {
		if err != nil {
			t.Fatal(err)
		}
		recorded += string(m.Data)
	}
	if !strings.Contains(recorded, `"reason":"repaired"`) || !strings.Contains(recorded, `"sink":"orders"`) || strings.Contains(recorded, secret) {
		t.Errorf("ACTIONS has %q, want the replay with its reason", recorded)
	}
}
