package traces_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/cluster"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/service"
	"receiver/internal/simulator"
	"receiver/internal/tracing"
	"receiver/internal/tracing/tracetest"
	"receiver/internal/verify"
)

const (
	key   = "the-signature-key-of-this-test"
	token = "the-token-of-the-operator"

	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
	caller      = "00-" + callerTrace + "-" + callerSpan + "-01"
	// stranger comes with every callback.
	strangerTrace = "11111111111111111111111111111111"
	stranger      = "00-" + strangerTrace + "-2222222222222222-01"
)

// rig is a receiver between a platform and a sink.
type rig struct {
	t        *testing.T
	in       *service.Instance
	platform *simulator.Platform
	stop     func()

	mu    sync.Mutex
	calls []call // to the platform
	posts []call // to the sink
}

type call struct {
	method, path, traceparent string
	body                      []byte
}

func (r *rig) note(to *[]call, q *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, call{q.Method, q.URL.Path, q.Header.Get("Traceparent"), body})
}

func (r *rig) made(of *[]call) []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(*of)
}

// sent adds the context of a stranger's trace to callbacks, or loses them.
type sent struct{ lost bool }

func (s sent) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.lost {
		return nil, errors.New("lost")
	}
	r = r.Clone(r.Context())
	r.Header.Set("Traceparent", stranger)
	r.Header.Set("Tracestate", "stranger=1")
	return http.DefaultTransport.RoundTrip(r)
}

// start starts the rig with a part of a configuration. A job ends by its callback, or, if that is
// lost, by a poll.
func start(t *testing.T, tracing string, lost bool) *rig {
	t.Helper()
	polled := "1h"
	if lost {
		polled = "100ms"
	}
	r := &rig{t: t}
	r.platform = simulator.New(simulator.Options{
		Element: "the-element", User: "the-user", SignatureKey: key, JobDuration: 500 * time.Millisecond, Client: &http.Client{Transport: sent{lost}},
	})
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.note(&r.calls, q, nil)
		r.platform.ServeHTTP(w, q)
	}))
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.note(&r.posts, q, body)
	}))
	port, err := cluster.FreePort()
	natstest.Must(t, err)
	path := filepath.Join(t.TempDir(), "config.yaml")
	natstest.Must(t, os.WriteFile(path, fmt.Appendf(nil, `
public: {address: 127.0.0.1:%d}
private: {address: 127.0.0.1:0, token: %s, rate: 1000000}
nats: {embedded: {address: 127.0.0.1:0}, sync: interval}
token_secret: the-secret-of-the-tokens
sources:
  demo:
    base_url: %s%s
    element_token: the-element
    user_secret: the-user
    signature_keys: [{value: %s}]
    callback_base_url: http://127.0.0.1:%d
    watch: {expected: %s, retry: 100ms}
sinks: [{name: orders, url: %s, secret: whsec_%s, kinds: [finished]}]
%s
`, port, token, platform.URL, simulator.Base, key, port, polled, sink.URL, base64.StdEncoding.EncodeToString(make([]byte, 32)), tracing), 0o600))
	cfg, err := service.ReadConfig(path, nil, nil)
	natstest.Must(t, err)
	r.in, err = service.Start(t.Context(), cfg, zerolog.Nop())
	natstest.Must(t, err)
	r.stop = sync.OnceFunc(func() { natstest.Must(t, r.in.Stop()) })
	t.Cleanup(func() {
		r.stop()
		natstest.Must(t, r.platform.Close())
		platform.Close()
		sink.Close()
	})
	return r
}

// submit submits a job by the private listener, and returns its id.
func (r *rig) submit(traceparent string) string {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.in.PrivateURL()+"/v1/sources/demo/jobs?object=contact", strings.NewReader("email\na@example.com\n"))
	natstest.Must(r.t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", "text/csv")
	if traceparent != "" {
		q.Header.Set("Traceparent", traceparent)
	}
	answer, err := http.DefaultClient.Do(q)
	natstest.Must(r.t, err)
	defer answer.Body.Close()
	var made struct{ Job string }
	body, err := io.ReadAll(answer.Body)
	natstest.Must(r.t, err)
	if answer.StatusCode != http.StatusAccepted || json.Unmarshal(body, &made) != nil || made.Job == "" {
		r.t.Fatalf("submitting = %s, %s", answer.Status, body)
	}
	return made.Job
}

// events returns the events on subjects.
func (r *rig) events(pattern string) (all []job.Wire) {
	r.t.Helper()
	for from := uint64(1); ; {
		e, found, err := r.in.Store().EventFrom(r.t.Context(), pattern, from)
		natstest.Must(r.t, err)
		if !found {
			return all
		}
		all, from = append(all, e), e.Sequence+1
	}
}

// call sends a signed callback, and returns what it is answered.
func (r *rig) call(body string) int {
	r.t.Helper()
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.in.PublicURL()+"/callbacks/demo", strings.NewReader(body))
	natstest.Must(r.t, err)
	q.Header.Set(verify.Header, "sha256="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	answer, err := (&http.Client{Transport: sent{}}).Do(q)
	natstest.Must(r.t, err)
	natstest.Must(r.t, answer.Body.Close())
	return answer.StatusCode
}

// one returns the only span of a name.
func one(t *testing.T, c *tracetest.Collector, name string) tracetest.Span {
	t.Helper()
	spans := c.Named(name)
	if len(spans) != 1 {
		t.Fatalf("%d spans %q, want one; all are %+v", len(spans), name, c.Spans())
	}
	return spans[0]
}

func traceparent(e job.Wire) string { return job.LookupIn(e.Header)(job.HeaderTrace) }

// One job, from the request of a service to the post of its end: two traces and a link.
func TestTracesOfOneJob(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	r := start(t, "tracing: {endpoint: "+c.URL+", sample_ratio: 1, service_name: orders}", false)
	id := r.submit(caller)
	natstest.Eventually(t, "the end to be posted", func() bool { return len(r.made(&r.posts)) == 1 })
	r.stop()

	submission, submitted := one(t, c, "POST /v1/sources"), one(t, c, "publish submitted")
	if submission.Trace != callerTrace || submission.Parent != callerSpan || submission.Kind != "server" || submission.Service != "orders" {
		t.Errorf("submission = %+v, want a server span below the caller's", submission)
	}
	if submitted.Parent != submission.ID || submitted.Kind != "producer" {
		t.Errorf("publish submitted = %+v, want it below the submission", submitted)
	}
	created := slices.IndexFunc(r.made(&r.calls), func(k call) bool { return k.method == http.MethodPost })
	uploads := c.Named(http.MethodPost)
	uploads = slices.DeleteFunc(uploads, func(s tracetest.Span) bool { return s.Name != http.MethodPost || s.Trace != callerTrace })
	if len(uploads) != 1 || uploads[0].Parent != submission.ID || r.made(&r.calls)[created].traceparent != uploads[0].Traceparent() {
		t.Errorf("the platform got %+v, want the traceparent of the one upload %+v", r.made(&r.calls), uploads)
	}

	callback, verified, finished := one(t, c, "POST /callbacks/"), one(t, c, "verify"), one(t, c, "publish finished")
	if callback.Parent != "" || callback.Trace == strangerTrace || callback.Trace == callerTrace || callback.Kind != "server" {
		t.Errorf("callback = %+v, want a trace of its own", callback)
	}
	if want := []string{strangerTrace + "-2222222222222222", submitted.Trace + "-" + submitted.ID}; !slices.Equal(callback.Links, want) {
		t.Errorf("the callback is linked with %v, want %v: the sender's and the submission", callback.Links, want)
	}
	if callback.Attributes["http.response.status_code"] != "200" || callback.Attributes["receiver.outcome"] != "accepted" || callback.Attributes["receiver.source"] != "demo" {
		t.Errorf("callback = %+v, want 200, accepted, demo", callback.Attributes)
	}
	if verified.Parent != callback.ID || finished.Parent != callback.ID {
		t.Errorf("verify = %+v, publish = %+v, want both below the callback", verified, finished)
	}
	event := r.posted(id)
	if event["traceparent"] != finished.Traceparent() {
		t.Errorf("the event has traceparent %v, want that of its span %q", event["traceparent"], finished.Traceparent())
	}
	if finished.Attributes["messaging.destination.name"] != job.Subject("demo", id, job.Finished) || finished.Attributes["receiver.sequence"] == "" {
		t.Errorf("publish finished = %+v, want subject and sequence", finished.Attributes)
	}
	post := one(t, c, "post to a sink")
	posts := slices.DeleteFunc(c.Named(http.MethodPost), func(s tracetest.Span) bool { return s.Parent != post.ID })
	if post.Trace != callback.Trace || post.Parent != finished.ID || len(posts) != 1 || r.made(&r.posts)[0].traceparent != posts[0].Traceparent() {
		t.Errorf("post = %+v, %+v, want it below the event, and its traceparent sent: %+v", post, posts, r.made(&r.posts))
	}
	_, address, _ := strings.Cut(r.platform.Deliveries()[0].URL, "/callbacks/demo/")
	if len(address) < 16 {
		t.Fatalf("the address ends in %q, want a token", address)
	}
	for _, secret := range []string{key, token, address, "the-element", "the-user", "example.com", "the-secret"} {
		if text := fmt.Sprint(c.Spans()); strings.Contains(text, secret) {
			t.Errorf("the spans contain %q: %s", secret, text)
		}
	}
}

// posted returns what the sink got, of the job with that id.
func (r *rig) posted(id string) map[string]any {
	r.t.Helper()
	var event map[string]any
	if err := json.Unmarshal(r.made(&r.posts)[0].body, &event); err != nil || event["subject"] != id {
		r.t.Fatalf("the sink got %s, want the event of job %s: %v", r.made(&r.posts)[0].body, id, err)
	}
	return event
}

// The end of a job that a poll finds is linked with the submission, too.
func TestTheEndFoundByAPollIsLinked(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	r := start(t, "tracing: {endpoint: "+c.URL+", sample_ratio: 1}", true)
	r.submit("")
	natstest.Eventually(t, "the end to be posted", func() bool { return len(r.made(&r.posts)) == 1 })
	r.stop()
	submitted, finished := one(t, c, "publish submitted"), one(t, c, "publish finished")
	polls := slices.DeleteFunc(c.Named("poll"), func(s tracetest.Span) bool { return s.ID != finished.Parent })
	if len(polls) != 1 || !slices.Equal(polls[0].Links, []string{submitted.Trace + "-" + submitted.ID}) {
		t.Fatalf("polls = %+v, want the one that ended the job linked with %+v", polls, submitted)
	}
	if polls[0].Parent != "" || !slices.ContainsFunc(c.Named(http.MethodGet), func(s tracetest.Span) bool { return s.Parent == polls[0].ID }) {
		t.Errorf("the poll = %+v, want a trace of its own, and the call of the platform below it: %+v", polls[0], c.Spans())
	}
}

// Without tracing, or for what is not sampled, nothing has a header of it, whatever comes from
// outside.
func TestNothingIsAddedWhileNothingIsTraced(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	c := tracetest.Start(t)
	unsampled := "tracing: {endpoint: " + c.URL + ", sample_ratio: 0}"
	for _, row := range []struct {
		name, tracing string
		lost          bool // the callback
	}{
		{"off", "", false}, {"off, and polled", "", true}, {"not sampled", unsampled, false}, {"not sampled, and polled", unsampled, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := start(t, row.tracing, row.lost)
			r.submit("")
			natstest.Eventually(t, "the end to be posted", func() bool { return len(r.made(&r.posts)) == 1 })
			events := r.events("jobs.>")
			r.stop()
			for _, e := range events {
				for name := range e.Header {
					if strings.Contains(strings.ToLower(name), "trace") {
						t.Errorf("the event on %s has a header %s", e.Subject, name)
					}
				}
			}
			for _, k := range append(r.made(&r.calls), r.made(&r.posts)...) {
				if k.traceparent != "" {
					t.Errorf("%s %s has traceparent %s", k.method, k.path, k.traceparent)
				}
			}
			if len(c.Spans()) != 0 || len(events) < 2 {
				t.Errorf("%d spans of %d events, want none", len(c.Spans()), len(events))
			}
		})
	}
}

// A repeat has another span than the first callback, and is a repeat all the same; another end of
// the job is a conflict.
func TestTraceContextMakesNoConflict(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	r := start(t, "tracing: {endpoint: "+c.URL+", sample_ratio: 1}", false)
	const body = `{"id":"7","status":"COMPLETED"}`
	for range 5 {
		if code := r.call(body); code != http.StatusOK {
			t.Fatalf("the callback was answered %d", code)
		}
	}
	if events := r.events("jobs.demo.7.>"); len(events) != 1 {
		t.Errorf("%d events of one callback and its repeats, want one", len(events))
	}
	if code := r.call(`{"id":"7","status":"ABORTED"}`); code != http.StatusOK {
		t.Errorf("another end was answered %d", code)
	}
	events := r.events("jobs.demo.7.>")
	if len(events) != 2 || traceparent(events[0]) == "" || traceparent(events[0]) == traceparent(events[1]) {
		t.Errorf("events = %+v, want the end and a conflict, each with its own traceparent", events)
	}
	r.stop()
	if spans := c.Named("POST /callbacks/"); len(spans) != 6 || spans[5].Attributes["receiver.outcome"] != "accepted" || spans[4].Attributes["receiver.outcome"] != "duplicate" {
		t.Errorf("callbacks = %+v, want six, the fifth a duplicate", spans)
	}
}

// A collector that hangs loses no callback, and the receiver stops in its time.
func TestACollectorThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	r := start(t, "tracing: {endpoint: "+hangs.URL+", sample_ratio: 1}", false)
	const callbacks = 300
	for i := range callbacks {
		if code := r.call(fmt.Sprintf(`{"id":"%d","status":"COMPLETED"}`, i)); code != http.StatusOK {
			t.Fatalf("callback %d was answered %d", i, code)
		}
	}
	if got := len(r.events("jobs.demo.*.finished")); got != callbacks {
		t.Errorf("%d events, want %d", got, callbacks)
	}
	begin := time.Now()
	r.stop()
	if took := time.Since(begin); took > tracing.StopTime+10*time.Second {
		t.Errorf("Stop took %v", took)
	}
}

// A metric counts the spans that the collector does not take.
func TestLostSpansAreCounted(t *testing.T) {
	t.Parallel()
	refuses := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(refuses.Close)
	r := start(t, "tracing: {endpoint: "+refuses.URL+", sample_ratio: 1}", false)
	if code := r.call(`{"id":"7","status":"COMPLETED"}`); code != http.StatusOK || r.dropped() != 0 {
		t.Fatalf("the callback was answered %d", code)
	}
	natstest.Eventually(t, "its spans to be counted", func() bool { return r.dropped() >= 3 })
}

// dropped returns the metric of lost spans.
func (r *rig) dropped() (n float64) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.in.PrivateURL()+"/metrics", nil)
	natstest.Must(r.t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(q)
	natstest.Must(r.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	natstest.Must(r.t, err)
	_, rest, found := strings.Cut(string(text), "\nreceiver_trace_spans_dropped_total ")
	if _, err := fmt.Sscan(rest, &n); err != nil || !found {
		r.t.Fatalf("no receiver_trace_spans_dropped_total: %v", err)
	}
	return n
}
