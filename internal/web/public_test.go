package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/verify"
	"receiver/internal/web"
)

func TestAuthenticCallbackIsAnsweredWithItsOutcome(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tt := range []struct{ name, body, want string }{
		{"accepted", demoBody, `{"outcome":"accepted","subject":"jobs.demo.42114492.finished","sequence":1}`},
		{"again", demoBody, `{"outcome":"duplicate","subject":"jobs.demo.42114492.finished","sequence":1}`},
		{"no job notification", "hello", `{"outcome":"unrecognised","subject":"jobs.demo.` + job.BodySHA256([]byte("hello")) + `.unrecognised","sequence":2}`},
		{"nothing", "", `{"outcome":"unrecognised","subject":"jobs.demo.` + job.BodySHA256(nil) + `.unrecognised","sequence":3}`},
	} {
		got := d.post(tt.body)
		if got.code != http.StatusOK || got.body != tt.want+"\n" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %q, want 200 %q", tt.name, got.code, got.header.Get("Content-Type"), got.body, tt.want)
		}
	}
}

func TestCallbackIsStoredInJetStream(t *testing.T) {
	t.Parallel()
	server, err := natsserver.Start(natsserver.Embedded{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	bus, err := publish.Open(t.Context(), server, conn.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	d := open(t, func(o *options) { o.store = bus })
	for _, want := range []string{"accepted", "duplicate"} {
		got := d.post(demoBody)
		if want := `{"outcome":"` + want + `","subject":"jobs.demo.42114492.finished","sequence":1}` + "\n"; got.code != http.StatusOK || got.body != want {
			t.Errorf("POST = %d %q, want 200 %q", got.code, got.body, want)
		}
	}
	if got := d.post(demoBody, verify.Header, ""); got.code != http.StatusUnauthorized {
		t.Errorf("POST without a signature = %d, want 401", got.code)
	}
	events, err := bus.Job(t.Context(), "demo", "42114492")
	if err != nil || len(events) != 1 || string(events[0].Data) != demoBody || events[0].Receipt.Remote != "127.0.0.1" {
		t.Errorf("JOBS holds %+v, %v, want the callback as it came", events, err)
	}
}

// A refused sender gets the same bytes, whatever the reason.
func TestARefusalSaysNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	wrong := signature("another key", demoBody)
	var first *reply
	for _, tt := range []struct {
		name, path string
		headers    []string
	}{
		{"unknown source", "/callbacks/nobody", nil},
		{"unknown source, no signature", "/callbacks/nobody", []string{verify.Header, ""}},
		{"missing", "/callbacks/demo", []string{verify.Header, ""}},
		{"wrong", "/callbacks/demo", []string{verify.Header, wrong}},
		{"malformed", "/callbacks/demo", []string{verify.Header, "sha256=x"}},
		{"another algorithm", "/callbacks/demo", []string{verify.Header, "sha1=" + wrong[7:]}},
		{"twice", "/callbacks/demo", []string{verify.Header, signature(demoKey, demoBody), verify.Header, signature(demoKey, demoBody)}},
		{"a list", "/callbacks/demo", []string{verify.Header, signature(demoKey, demoBody) + "," + wrong}},
	} {
		got := d.do(http.MethodPost, tt.path, demoBody, tt.headers...)
		if got.code != http.StatusUnauthorized || got.body != `{"message":"unauthorized"}`+"\n" {
			t.Errorf("%s: %d %q, want 401 and no reason", tt.name, got.code, got.body)
		}
		got.header.Del("Date")
		if first == nil {
			first = got
		}
		if !maps.EqualFunc(got.header, first.header, slices.Equal[[]string]) {
			t.Errorf("%s: headers %v, those of the first are %v", tt.name, got.header, first.header)
		}
	}
	if events, offered := d.counts(); events != 0 || offered != 8 {
		t.Errorf("%d events and %d attempts, want none and 8", events, offered)
	}
}

func TestOnlyTheListenersOwnAddresses(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tt := range []struct {
		method, path string
		code         int
		allow        string
	}{
		{"GET", "/healthz", 200, ""},
		{"HEAD", "/healthz", 200, ""},
		{"GET", "/healthz/", 200, ""},
		{"GET", "/healthz//", 404, ""},
		{"POST", "/healthz", 405, "GET, HEAD"},
		{"OPTIONS", "/healthz", 405, "GET, HEAD"},
		{"OPTIONS", "*", 404, ""},
		{"GET", "/callbacks/demo", 405, "POST"},
		{"HEAD", "/callbacks/demo", 405, "POST"},
		{"PUT", "/callbacks/demo", 405, "POST"},
		{"DELETE", "/callbacks/demo", 405, "POST"},
		{"OPTIONS", "/callbacks/demo", 405, "POST"},
		{"OPTIONS", "/callbacks/demo/token", 405, "POST"},
		{"TRACE", "/callbacks/demo", 405, "POST"},
		{"PROPFIND", "/callbacks/demo", 405, "POST"},
		{"MADE-UP", "/callbacks/nobody", 405, "POST"},
		{"POST", "/", 404, ""},
		{"POST", "/callbacks", 404, ""},
		{"POST", "/callbacks/", 404, ""},
		{"POST", "/callbacks/demo/", 200, ""},
		{"POST", "/callbacks/demo/token/", 200, ""},
		{"POST", "/callbacks/demo//", 404, ""},
		{"POST", "/callbacks/demo//token", 404, ""},
		{"POST", "/callbacks/demo/token//", 404, ""},
		{"PUT", "/callbacks/demo/", 405, "POST"},
		{"GET", "/callbacks/demo/token/", 405, "POST"},
		{"POST", "//callbacks/demo", 404, ""},
		{"POST", "/callbacks//demo", 404, ""},
		{"POST", "/CALLBACKS/demo", 404, ""},
		{"POST", "/callbacks/Demo", 401, ""},
		{"POST", "/callbacks/demo/a/b", 404, ""},
		{"POST", "/callbacks/demo%2Fa", 404, ""},
		{"POST", "/callbacks/x%2F..%2Fdemo", 404, ""},
		{"POST", "/callbacks/%2e%2e/demo", 404, ""},
		{"POST", "/callbacks/../callbacks/demo", 404, ""},
		{"POST", "/callbacks/demo/../../metrics", 404, ""},
		{"POST", "/callbacks/./demo", 401, ""},
		{"POST", "/callbacks/demo%00", 404, ""},
		{"POST", "/callbacks/demo%0a", 404, ""},
		{"POST", "/callbacks/demo%0A", 404, ""},
		{"POST", "/callbacks/d%C3%A9mo", 404, ""},
		{"POST", "/callbacks/_", 401, ""},
		{"POST", "/callbacks/*", 404, ""},
		{"POST", "/callbacks/:source", 404, ""},
		{"POST", "/callbacks/demo?x=y", 200, ""},
		{"POST", "/callbacks/demo", 200, ""},
		{"GET", "/metrics", 404, ""},
		{"GET", "/readyz", 404, ""},
		{"GET", "/v1/sources", 404, ""},
		{"POST", "/v1/verify/explain", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
	} {
		got := d.do(tt.method, tt.path, demoBody)
		if got.code != tt.code || got.header.Get("Allow") != tt.allow {
			t.Errorf("%s %s = %d, Allow %q, want %d %q", tt.method, tt.path, got.code, got.header.Get("Allow"), tt.code, tt.allow)
		}
		if tt.method != "HEAD" && !json.Valid([]byte(got.body)) {
			t.Errorf("%s %s is answered %q, want JSON", tt.method, tt.path, got.body)
		}
	}
}

func TestAnyContentType(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, headers := range [][]string{
		nil, {"Content-Type", "application/json; charset=utf-8"}, {"Content-Type", "text/plain"}, {"Content-Type", "application/x-www-form-urlencoded"},
		{"Content-Type", "multipart/form-data; boundary=x"}, {"Content-Type", "\"no type/"},
	} {
		if got := d.post(demoBody, headers...); got.code != http.StatusOK {
			t.Errorf("POST with %q = %d, want 200", headers, got.code)
		}
	}
}

func TestFailingStoreIs503(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		fail    error
		timeout time.Duration
	}{
		{name: "the store fails", fail: errors.New("disk full")},
		{name: "the store does not answer", timeout: 20 * time.Millisecond},
	} {
		d := open(t, func(o *options) {
			if tt.timeout > 0 {
				o.public.Timeout, o.store = tt.timeout, silent{}
			}
		})
		d.fail = tt.fail
		got := d.post(demoBody)
		if got.code != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "5" {
			t.Errorf("%s: %d, Retry-After %q, want 503 and 5", tt.name, got.code, got.header.Get("Retry-After"))
		}
		if strings.Contains(got.body, "disk full") {
			t.Errorf("%s: %q tells a stranger why", tt.name, got.body)
		}
		if lines := d.log.lines(t); len(lines) != 1 || lines[0]["level"] != "error" || lines[0]["error"] == "" {
			t.Errorf("%s: logged %v, want one error that says why", tt.name, lines)
		}
	}
}

// silent is a store that never answers.
type silent struct{}

func (silent) Publish(ctx context.Context, _ job.Event) (job.Stored, error) {
	<-ctx.Done()
	return job.Stored{}, ctx.Err()
}
func (silent) Record(ctx context.Context, _ job.Attempt) error { <-ctx.Done(); return ctx.Err() }
func (silent) Offer(func() job.Attempt) bool                   { return true }

// The platform hangs up when it has waited long enough, and calls again or not.
func TestACallerThatHangsUpIsStored(t *testing.T) {
	t.Parallel()
	slow := &slowStore{published: make(chan error, 1), began: make(chan bool), release: make(chan bool)}
	d := open(t, func(o *options) { o.store = slow })
	l := d.dial()
	l.send("POST /callbacks/demo HTTP/1.1\nHost: x\n%s: %s\nContent-Length: %d\n\n%s",
		verify.Header, signature(demoKey, demoBody), len(demoBody), demoBody)
	<-slow.began
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-slow.published:
		t.Fatalf("storing was given up when the caller hung up: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(slow.release)
	if err := <-slow.published; err != nil {
		t.Errorf("Publish's context ended with the caller: %v", err)
	}
}

// slowStore stores when the test allows it.
type slowStore struct {
	shelf
	began, release chan bool
	published      chan error
}

func (s *slowStore) Publish(ctx context.Context, e job.Event) (job.Stored, error) {
	close(s.began)
	select {
	case <-s.release:
	case <-ctx.Done():
	}
	s.published <- ctx.Err()
	return s.shelf.Publish(ctx, e)
}

func TestSecretsOfARequestAreFingerprinted(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.post(demoBody, "Authorization", "Basic dXNlcjpwYXNzd29yZA==", "Cookie", "session=abc", "Proxy-Authorization", "Bearer xyz",
		"X-Odd", "\u00e9\u2028", "Elements-Webhook-Id", "7")
	e := d.lastEvent(t)
	var headers map[string][]string
	if err := json.Unmarshal([]byte(e.Receipt.Request), &headers); err != nil {
		t.Fatalf("the recorded request %q: %v", e.Receipt.Request, err)
	}
	for _, secret := range []string{"dXNlcjpwYXNzd29yZA", "password", "session=abc", "xyz"} {
		if strings.Contains(e.Receipt.Request, secret) || strings.Contains(d.log.text(), secret) {
			t.Errorf("%q is recorded or logged", secret)
		}
	}
	for name, want := range map[string]string{
		"Authorization": "sha256:9c06d532", "X-Odd": "\u00e9\u2028", "Elements-Webhook-Id": "7",
		"Host": d.addr, verify.Header: signature(demoKey, demoBody),
	} {
		if got := headers[name]; len(got) != 1 || got[0] != want {
			t.Errorf("recorded %s %q, want %q", name, got, want)
		}
	}
	for _, c := range e.Receipt.Request {
		if c < ' ' || c > '~' {
			t.Fatalf("the recorded request %q does not fit into a header", e.Receipt.Request)
		}
	}
	d.post("another", "X-Long", strings.Repeat("x", 10<<10))
	if got, want := d.lastEvent(t).Receipt.Request, `{"omitted":["headers over the bound for records"]}`; got != want {
		t.Errorf("recorded of a long header: %q, want %q", got, want)
	}
}

func TestOneLineForEachCallback(t *testing.T) {
	t.Parallel()
	d := open(t)
	wrong := signature("another key", demoBody)
	for _, tt := range []struct {
		name    string
		do      func() *reply
		message string
		want    map[string]any
		without []string
	}{
		{"accepted", func() *reply { return d.post(demoBody) }, "callback processed",
			map[string]any{"level": "info", "source": "demo", "outcome": "accepted", "sequence": 1.0, "subject": "jobs.demo.42114492.finished", "job": "42114492", "bytes": float64(len(demoBody))}, []string{"reason"}},
		{"repeated, by a proxy that names its requests", func() *reply { return d.post(demoBody, "X-Request-Id", "proxy-7") }, "callback processed",
			map[string]any{"level": "info", "outcome": "duplicate", "job": "42114492", "request_id": "proxy-7"}, []string{"reason"}},
		{"with an odd name of the request", func() *reply { return d.post(demoBody, "X-Request-Id", `"}`) }, "callback processed", nil, nil},
		{"with a long name of the request", func() *reply { return d.post(demoBody, "X-Request-Id", strings.Repeat("x", 129)) }, "callback processed", nil, nil},
		{"refused", func() *reply { return d.post(demoBody, verify.Header, wrong) }, "callback processed",
			map[string]any{"level": "warn", "source": "demo", "outcome": "refused", "reason": "mismatch"}, []string{"key", "job"}},
		{"a path with a line break", func() *reply {
			return d.do("POST", "/callbacks/x%0A%7B%22a%22:%22b%22%7D%0D", demoBody)
		}, "callback processed", map[string]any{"level": "warn", "source": "_", "outcome": "refused", "reason": "wrong_path"}, nil},
		{"a path with a terminal's words", func() *reply { return d.do("POST", "/callbacks/%1B%5B31m%FF", demoBody) }, "callback processed",
			map[string]any{"request": "POST /callbacks/%1B%5B31m%FF"}, nil},
		{"a long source", func() *reply { return d.do("POST", "/callbacks/"+strings.Repeat("y", 32), demoBody) }, "callback processed",
			map[string]any{"source": strings.Repeat("y", 32), "reason": "unknown_source"}, nil},
		{"too large", func() *reply { return d.post(strings.Repeat("x", 2000)) }, "callback rejected",
			map[string]any{"level": "warn", "source": "demo", "outcome": "refused", "reason": "Request Entity Too Large", "status": 413.0}, nil},
	} {
		before := len(d.log.lines(t))
		tt.do()
		lines := d.log.lines(t)[before:]
		if len(lines) != 1 || lines[0]["message"] != tt.message {
			t.Fatalf("%s: logged %v, want one line %q", tt.name, lines, tt.message)
		}
		if id, _ := lines[0]["request_id"].(string); id != tt.want["request_id"] && !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
			t.Errorf("%s: logged request_id %q, want one of our own", tt.name, id)
		}
		if took, ok := lines[0]["took_ms"].(float64); tt.message == "callback processed" && (!ok || took <= 0) {
			t.Errorf("%s: logged took_ms %v", tt.name, lines[0]["took_ms"])
		}
		for field, want := range tt.want {
			if got := lines[0][field]; got != want {
				t.Errorf("%s: logged %s %q, want %q", tt.name, field, got, want)
			}
		}
		for _, field := range tt.without {
			if got, ok := lines[0][field]; ok {
				t.Errorf("%s: logged %s %q, want none", tt.name, field, got)
			}
		}
	}
	for what, secret := range map[string]string{
		"the key": demoKey, "the expected signature": signature(demoKey, demoBody)[7:], "a wrong signature": wrong[7:], "the body": "COMPLETED",
	} {
		if strings.Contains(d.log.text(), secret) {
			t.Errorf("%s is logged", what)
		}
	}
}

func TestMetricsHaveABound(t *testing.T) {
	t.Parallel()
	d := open(t)
	private := web.NewPrivate(web.Private{Metrics: d.metrics, Access: tokens("operator")})
	show := func() string { return get(t, d.metrics.Handler(), "/metrics", "").body }
	before := seriesOf(show())
	get(t, private, "/metrics", "Bearer operator")
	d.post(demoBody)
	d.post(demoBody, verify.Header, "sha256=x")
	for i := range 50 {
		d.do("POST", "/callbacks/made-up-"+strings.Repeat("x", i%24), demoBody)
	}
	for i := range 50 {
		d.do("POST", "/made-up/callbacks/%ff"+strings.Repeat("x", i), demoBody)
	}
	d.post(strings.Repeat("x", 2000))
	for i := range 50 {
		d.do(fmt.Sprintf("MADE%d", i), "/callbacks/demo", demoBody)
		get(t, private, fmt.Sprintf("/v1/sources/made-up%d/jobs/made-up%d", i, i), "Bearer operator")
		get(t, private, fmt.Sprintf("/v1/made-up%d", i), "Bearer operator")
	}
	for i := range 50 {
		get(t, private, "/v1/jobs", fmt.Sprintf("Bearer made-up%d", i))
	}
	text := show()
	for series := range seriesOf(text) {
		if !before[series] {
			t.Errorf("the series %s was not there from the start", series)
		}
	}
	for _, want := range []string{
		`receiver_callbacks_total{outcome="accepted",source="demo"} 1`,
		`receiver_callbacks_total{outcome="malformed",source="demo"} 1`,
		`receiver_callbacks_total{outcome="unknown_source",source="_"} 50`,
		`receiver_callbacks_total{outcome="wrong_path",source="_"} 50`,
		`receiver_callbacks_rejected_total{answer="Request Entity Too Large"} 1`,
		`receiver_callback_duration_seconds_count{authentic="true"} 1`,
		`receiver_api_requests_total{operation="_",status="404"} 50`,
		`receiver_api_requests_total{operation="getJob",status="503"} 50`,
		`receiver_api_requests_total{operation="getMetrics",status="200"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("/metrics has no line %s", want)
		}
	}
	if strings.Contains(text, "made-up") {
		t.Error("a name that a stranger chose is a label")
	}
}

// seriesOf returns the series in the text of /metrics, without those of Go and the process.
func seriesOf(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^receiver_\S+`).FindAllString(text, -1) {
		all[m] = true
	}
	return all
}
