package web_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"receiver/internal/web"
)

// archive is a Trail and Logs that says what it was asked.
type archive struct{ err error }

func (a archive) Callbacks(_ context.Context, q url.Values) (any, error) {
	return map[string]any{"asked": q.Encode()}, a.err
}

func (a archive) Callback(_ context.Context, stream string, seq uint64) (any, error) {
	return fmt.Sprintf("%s/%d", stream, seq), a.err
}

func (a archive) Bundle(_ context.Context, stream string, seq uint64) ([]byte, error) {
	return fmt.Appendf(nil, "bundle of %s/%d\n", stream, seq), a.err
}

func (a archive) Logs(context.Context) (any, error) { return []string{"a log"}, a.err }

func (a archive) Checkpoint(_ context.Context, stream string) ([]byte, error) {
	return []byte("checkpoint of " + stream + "\n"), a.err
}

func (a archive) Tile(_ context.Context, stream, name string) ([]byte, error) {
	return []byte(stream + " " + name), a.err
}

func TestAuditLogRoutes(t *testing.T) {
	t.Parallel()
	away := errors.New("NATS is away")
	for _, tt := range []struct {
		name, path  string
		err         error
		code        int
		contentType string
		body        string
		cached      string
	}{
		{"callbacks", "/v1/callbacks?verdict=refused&limit=10", nil, 200, "application/json", `{"asked":"limit=10\u0026verdict=refused"}`, ""},
		{"a question that is none", "/v1/callbacks?limit=x", fmt.Errorf("%w: limit", web.ErrQuery), 400, "application/json", "the query is invalid: limit", ""},
		{"one callback", "/v1/callbacks/JOBS/12", nil, 200, "application/json", `"JOBS/12"`, ""},
		{"no such callback", "/v1/callbacks/JOBS/13", fs.ErrNotExist, 404, "application/json", "Not Found", ""},
		{"no sequence", "/v1/callbacks/JOBS/0", nil, 404, "application/json", "Not Found", ""},
		{"a sequence that is none", "/v1/callbacks/JOBS/x", nil, 404, "application/json", "Not Found", ""},
		{"bundle", "/v1/callbacks/JOBS/12/bundle", nil, 200, "application/json", "bundle of JOBS/12\n", ""},
		{"no record to prove", "/v1/callbacks/JOBS/13/bundle", fs.ErrNotExist, 404, "application/json", "Not Found", ""},
		{"a record that is too young", "/v1/callbacks/JOBS/14/bundle", web.ErrUnsealed, 409, "application/json", "not sealed yet", ""},
		{"bundle of nothing", "/v1/callbacks/JOBS/x/bundle", nil, 404, "application/json", "Not Found", ""},
		{"store away", "/v1/callbacks", away, 503, "application/json", "NATS is away", ""},
		{"logs", "/v1/log", nil, 200, "application/json", `["a log"]`, ""},
		{"checkpoint", "/v1/log/JOBS/checkpoint", nil, 200, "text/plain", "checkpoint of JOBS\n", "no-cache"},
		{"no checkpoint", "/v1/log/JOBS/checkpoint", fs.ErrNotExist, 404, "application/json", "Not Found", ""},
		{"tile", "/v1/log/JOBS/tile/0/x001/067", nil, 200, "application/octet-stream", "JOBS tile/0/x001/067", "max-age=31536000, immutable"},
		{"partial tile", "/v1/log/JOBS/tile/0/000.p/5", nil, 200, "application/octet-stream", "JOBS tile/0/000.p/5", "max-age=31536000, immutable"},
		{"no tile", "/v1/log/JOBS/tile/9/000", fs.ErrNotExist, 404, "application/json", "Not Found", ""},
		{"tiles away", "/v1/log/JOBS/tile/0/000", away, 503, "application/json", "NATS is away", ""},
	} {
		a := archive{tt.err}
		h := web.NewPrivate(web.Private{Access: tokens("operator"), Metrics: web.NewMetrics(func() uint64 { return 0 }), Trail: a, Logs: a})
		got := get(t, h, tt.path, "Bearer operator")
		if got.code != tt.code || !strings.Contains(got.body, tt.body) || !strings.HasPrefix(got.header.Get("Content-Type"), tt.contentType) {
			t.Errorf("%s: %d %s %q, want %d %s with %q", tt.name, got.code, got.header.Get("Content-Type"), got.body, tt.code, tt.contentType, tt.body)
		}
		if cached := got.header.Get("Cache-Control"); cached != tt.cached {
			t.Errorf("%s: Cache-Control %q, want %q", tt.name, cached, tt.cached)
		}
		if got := get(t, h, tt.path, ""); got.code != 401 {
			t.Errorf("%s: %d without the token, want 401", tt.name, got.code)
		}
	}
	bare := web.NewPrivate(web.Private{Metrics: web.NewMetrics(func() uint64 { return 0 })})
	for _, path := range []string{"/v1/callbacks", "/v1/log", "/v1/log/JOBS/checkpoint"} {
		if got := get(t, bare, path, ""); got.code != 404 {
			t.Errorf("%s is there without anything behind it: %d", path, got.code)
		}
	}
}

// crowded is a Trail whose calls wait until a test ends them. It counts the waiting calls.
type crowded struct {
	archive
	inside atomic.Int32
	leave  chan struct{}
}

func (a *crowded) Callbacks(context.Context, url.Values) (any, error) { return nil, a.wait() }

func (a *crowded) Callback(context.Context, string, uint64) (any, error) { return nil, a.wait() }

func (a *crowded) Bundle(context.Context, string, uint64) ([]byte, error) { return nil, a.wait() }

func (a *crowded) wait() error {
	a.inside.Add(1)
	<-a.leave
	a.inside.Add(-1)
	return nil
}

// A client that requests large records again and again takes the memory and the processors of four
// requests at most.
func TestAuditLogRequestsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &crowded{leave: make(chan struct{})}
		h := web.NewPrivate(web.Private{Access: tokens("operator"), Metrics: web.NewMetrics(func() uint64 { return 0 }), Trail: a})
		codes := make(chan int, 16)
		ask := func(ctx context.Context, path string) {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
			r.Header.Set("Authorization", "Bearer operator")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			codes <- w.Code
		}
		for range 5 {
			for _, path := range []string{"/v1/callbacks", "/v1/callbacks/JOBS/1", "/v1/callbacks/JOBS/1/bundle"} {
				go ask(t.Context(), path)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		synctest.Wait()
		go ask(gone, "/v1/callbacks")
		synctest.Wait()
		if n := a.inside.Load(); n != 4 {
			t.Errorf("%d questions are answered at once, want 4", n)
		}
		cancel()
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("the question of one who has gone = %d, want 503", code)
		}
		close(a.leave)
		for range 15 {
			if code := <-codes; code != http.StatusOK {
				t.Errorf("a question that waited = %d, want 200", code)
			}
		}
	})
}
