package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"receiver/api/apitest"
	"receiver/internal/callback"
	"receiver/internal/metrics"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/verify"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

func TestThePrivateListener(t *testing.T) {
	t.Parallel()
	down := errors.New("asking NATS for stream JOBS: timeout")
	private := func(token string, ready error) http.Handler {
		return web.NewPrivate(web.Private{
			Access: tokens(token), Ready: func(context.Context) error { return ready }, Metrics: metrics.New(func() metrics.Store { return dropped(7) }),
		})
	}
	for _, tt := range []struct {
		name, path, token, sent string
		ready                   error
		code                    int
		body                    string
	}{
		{"healthy without a token", "/healthz", "operator", "", nil, 200, `{"message":"ok"}`},
		{"ready", "/readyz", "operator", "Bearer operator", nil, 200, `{"message":"ready"}`},
		{"not ready", "/readyz", "operator", "Bearer operator", down, 503, "asking NATS for stream JOBS"},
		{"healthy though not ready", "/healthz", "operator", "", down, 200, `{"message":"ok"}`},
		{"metrics", "/metrics", "operator", "Bearer operator", nil, 200, "receiver_attempts_dropped_total 7\n"},
		{"a probe", "/readyz", "operator", "", nil, 200, `{"message":"ready"}`},
		{"no token", "/metrics", "operator", "", nil, 401, "bearer token"},
		{"another token", "/readyz", "operator", "Bearer operato", nil, 401, "bearer token"},
		{"a longer token", "/metrics", "operator", "Bearer operator ", nil, 401, "bearer token"},
		{"no bearer", "/metrics", "operator", "operator", nil, 401, "bearer token"},
		{"by Basic", "/metrics", "operator", "Basic operator", nil, 401, "bearer token"},
		{"nothing there without a token", "/v1/none", "operator", "", nil, 401, "bearer token"},
		{"nothing there", "/v1/none", "operator", "Bearer operator", nil, 404, "urn:receiver:problem:no-such-path"},
		{"no token needed", "/readyz", "", "", nil, 200, `{"message":"ready"}`},
		{"callbacks do not come here", "/callbacks/demo", "", "", nil, 404, "urn:receiver:problem:no-such-path"},
	} {
		got := get(t, private(tt.token, tt.ready), tt.path, tt.sent)
		if got.code != tt.code || !strings.Contains(got.body, tt.body) {
			t.Errorf("%s: %d %q, want %d with %q", tt.name, got.code, got.body, tt.code, tt.body)
		}
		if (got.header.Get("WWW-Authenticate") == "Bearer") != (tt.code == 401) {
			t.Errorf("%s: WWW-Authenticate %q with %d", tt.name, got.header.Get("WWW-Authenticate"), got.code)
		}
	}
}

// A probe has no token: it learns whether the receiver is ready, neither the reason nor a remark,
// and a flood of probes asks the store once a second. Every other method still needs a token.
func TestProbesNeedNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		down := errors.New("nats://nats-0.nats:4222: connection refused")
		h := web.NewPrivate(web.Private{
			Access: tokens("operator"), Metrics: metrics.New(nil), Log: zerolog.Nop(),
			Ready:  func(context.Context) error { asked++; return down },
			Remark: func() string { return "the audit log of JOBS contradicts itself" },
		})
		probe := func(method string, code int, body string) {
			t.Helper()
			r := httptest.NewRequestWithContext(t.Context(), method, "/readyz", nil)
			r.Host = "10.0.0.7:8081"
			w := apitest.Serve(t, h, r)
			if w.Code != code || !strings.Contains(w.Body.String(), body) || strings.Contains(w.Body.String(), "nats-0") || strings.Contains(w.Body.String(), "JOBS") {
				t.Errorf("%s /readyz without a token = %d %s, want %d with %q, and no reason", method, w.Code, w.Body, code, body)
			}
		}
		for range 5 {
			probe(http.MethodGet, 503, "ask with a token")
		}
		if asked != 1 {
			t.Errorf("five probes in a second asked the store %d times, want 1", asked)
		}
		down = nil
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
		probe(http.MethodGet, 200, `{"message":"ready"}`)
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			probe(method, 401, "bearer token")
		}
	})
}

// The log reports callbacks that a proxy forwards to this listener.
func TestACallbackToThePrivateListenerIsLogged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		token, signature string
		code             int
		said             bool
	}{{"", "sha256=x", 404, true}, {"operator", "sha256=x", 401, true}, {"", "", 404, false}} {
		log, metrics := &logs{}, metrics.New(nil)
		h := web.NewPrivate(web.Private{Access: tokens(tt.token), Metrics: metrics, Log: zerolog.New(log)})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callbacks/demo", strings.NewReader(demoBody))
		r.Host = "localhost"
		if tt.signature != "" {
			r.Header.Set(verify.Header, tt.signature)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		lines := log.lines(t)
		if w.Code != tt.code || (len(lines) == 1 && lines[0]["status"] == float64(tt.code) && lines[0]["level"] == "warn") != tt.said {
			t.Errorf("%+v: %d, and logged %v", tt, w.Code, lines)
		}
		shown := httptest.NewRecorder()
		web.NewPrivate(web.Private{Metrics: metrics}).ServeHTTP(shown, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		if counted := strings.Contains(shown.Body.String(), `receiver_callbacks_rejected_total{answer="`+http.StatusText(tt.code)+`"} 1`); counted != tt.said {
			t.Errorf("%+v: counted %v", tt, counted)
		}
	}
}

// Balancers and monitors ask by HEAD. They get the answer of GET, without a body.
func TestHEADIsGETWithoutABody(t *testing.T) {
	t.Parallel()
	judge, err := callback.New(callback.Options{Store: &shelf{}})
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	addresses := map[string]string{}
	for name, ready := range map[string]error{"ready": nil, "not ready": down} {
		addresses[name] = serve(t, web.NewPrivate(web.Private{
			Ready: func(context.Context) error { return ready }, Metrics: metrics.New(nil),
			API: apiserver.Server{Sources: apiserver.SourcesOf(judge, callback.NewRetryState(), metrics.New(nil).Source, time.Now())},
		}), web.Limits{})
	}
	addresses["public"] = open(t).addr
	for _, tt := range []struct {
		listener, path string
		code           int
	}{
		{"public", "/healthz", 200}, {"public", "/readyz", 404}, {"public", "/callbacks/demo", 405},
		{"ready", "/healthz", 200}, {"ready", "/readyz", 200}, {"ready", "/metrics", 200}, {"ready", "/v1/sources", 200},
		{"not ready", "/healthz", 200}, {"not ready", "/readyz", 503}, {"ready", "/v1/none", 404},
	} {
		ask := func(method string) *reply {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addresses[tt.listener]+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept-Encoding", "identity")
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatalf("%s %s: %v", method, tt.path, err)
			}
			return read(t, res)
		}
		head, get := ask(http.MethodHead), ask(http.MethodGet)
		if head.code != tt.code || head.code != get.code || head.body != "" {
			t.Errorf("%s: HEAD %s = %d %q, and GET is %d; want %d and no body", tt.listener, tt.path, head.code, head.body, get.code, tt.code)
		}
		for _, name := range []string{"Content-Type", "Content-Length"} {
			if h, g := head.header.Get(name), get.header.Get(name); h != g && (name != "Content-Length" || tt.path != "/metrics") {
				t.Errorf("%s: HEAD %s has %s %q, and GET %q", tt.listener, tt.path, name, h, g)
			}
		}
	}
}

// A page in a browser on this machine can give a name of its own the address 127.0.0.1, and then
// read the answers of the private listener to that name.
func TestWithoutATokenOnlyThisMachinesNamesAreAnswered(t *testing.T) {
	t.Parallel()
	judge, err := callback.New(callback.Options{Store: &shelf{}})
	if err != nil {
		t.Fatal(err)
	}
	private := func(token string) http.Handler {
		return web.NewPrivate(web.Private{
			Access: tokens(token), Ready: func(context.Context) error { return nil }, Metrics: metrics.New(nil),
			API: apiserver.Server{Sources: apiserver.SourcesOf(judge, callback.NewRetryState(), metrics.New(nil).Source, time.Now())},
		})
	}
	for _, tt := range []struct {
		path, host, token string
		code              int
	}{
		{"/v1/sources", "localhost", "", 200},
		{"/v1/sources", "localhost:8081", "", 200},
		{"/v1/sources", "LocalHost:9000", "", 200}, // through a tunnel
		{"/v1/sources", "127.0.0.1", "", 200},
		{"/v1/sources", "127.0.0.1:8081", "", 200},
		{"/v1/sources", "127.9.9.9:8081", "", 200},
		{"/v1/sources", "[::1]", "", 200},
		{"/v1/sources", "[::1]:8081", "", 200},
		{"/v1/sources", "evil.example", "", 421},
		{"/v1/sources", "evil.example:8081", "", 421},
		{"/v1/sources", "127.0.0.1.evil.example:8081", "", 421},
		{"/v1/sources", "localhost.evil.example", "", 421},
		{"/v1/sources", "10.0.0.7:8081", "", 421},
		{"/v1/sources", "0.0.0.0:8081", "", 421},
		{"/v1/sources", "[fd00::1]:8081", "", 421},
		{"/v1/sources", "127.0.0.1:8081:8081", "", 421},
		{"/v1/sources", "", "", 421},
		{"/v1/none", "evil.example", "", 421},
		{"/v1/none", "localhost", "", 404},
		{"/healthz", "10.0.0.7:8081", "", 200}, // probes name the pod by its address
		{"/readyz", "10.0.0.7:8081", "", 200},
		{"/metrics", "receiver.monitoring.svc:8081", "", 200},
		{"/v1/sources", "evil.example", "operator", 200}, // which no page knows
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, nil)
		r.Host = tt.host
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		w := httptest.NewRecorder()
		private(tt.token).ServeHTTP(w, r)
		got := read(t, w.Result())
		if got.code != tt.code || (got.code == 421) != strings.Contains(got.body, "private.token") {
			t.Errorf("GET %s for %q: %d %q, want %d", tt.path, tt.host, got.code, got.body, tt.code)
		}
	}
}

func TestReadyMustBeSaidInTime(t *testing.T) {
	t.Parallel()
	h := web.NewPrivate(web.Private{
		Ready:   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		Metrics: metrics.New(nil),
	})
	began := time.Now()
	if got := get(t, h, "/readyz", ""); got.code != http.StatusServiceUnavailable {
		t.Errorf("readyz = %d, want 503", got.code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("readyz took %v", took)
	}
}

func TestBothListenersWhenNATSHasGone(t *testing.T) {
	t.Parallel()
	server, err := natsserver.Start(natsserver.Embedded{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	bus, err := publish.Open(t.Context(), server, conn.Options{Timeout: time.Second})
	if err != nil {
		server.Stop()
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	d := open(t, func(o *options) { o.store = bus })
	private := web.NewPrivate(web.Private{Ready: bus.Ready, Metrics: d.metrics})
	if got := get(t, private, "/readyz", ""); got.code != http.StatusOK {
		t.Errorf("readyz = %d %s, want 200", got.code, got.body)
	}
	server.Stop()
	if got := get(t, private, "/readyz", ""); got.code != http.StatusServiceUnavailable {
		t.Errorf("readyz without NATS = %d %s, want 503", got.code, got.body)
	}
	if got := d.post(demoBody); got.code != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("a callback without NATS = %d, want 503 with Retry-After", got.code)
	}
	if got := d.post(demoBody, "Elements-Webhook-Signature", ""); got.code != http.StatusUnauthorized {
		t.Errorf("a forgery without NATS = %d, want 401", got.code)
	}
}

func get(t *testing.T, h http.Handler, path, authorization string) *reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Host = "localhost"
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return read(t, w.Result())
}

// dropped is a metrics.Store that has dropped some attempts.
type dropped uint64

func (d dropped) Dropped() uint64 { return uint64(d) }
func (dropped) Restored() uint64  { return 0 }
func (dropped) InFlight() int64   { return 0 }
