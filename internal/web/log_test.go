package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"receiver/api"
	"receiver/internal/auditlog"
	"receiver/internal/metrics"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

// archive is a Trail and SealedLogs that says what it was asked.
type archive struct{ err error }

func (a archive) Callbacks(_ context.Context, q api.ListCallbacksParams) (api.CallbackPage, error) {
	return api.CallbackPage{Callbacks: []api.Callback{}, Next: fmt.Sprint(q.Verdict, q.Limit != nil)}, a.err
}

func (a archive) Callback(_ context.Context, stream string, seq uint64, _ bool) (*api.CallbackDetail, error) {
	entry := auditlog.Entry{ID: fmt.Sprintf("%s/%d", stream, seq), Stream: stream, Sequence: seq, Verdict: auditlog.Accepted}
	return &api.CallbackDetail{Entry: entry, Headers: map[string][]string{}, Same: []string{}, Seal: auditlog.Seal{State: "sealed"}}, a.err
}

func (a archive) Attempts(_ context.Context, source, id string, p api.ListJobAttemptsParams) (api.JobAttempts, error) {
	return api.JobAttempts{Attempts: []api.JobAttempt{}, Next: source + " " + id + " " + p.After}, a.err
}

func (a archive) Bundle(_ context.Context, stream string, seq uint64) ([]byte, error) {
	return fmt.Appendf(nil, `{"bundle": "%s/%d"}`+"\n", stream, seq), a.err
}

func (a archive) Signed(_ context.Context, _ apiserver.By, stream string, seq uint64) (api.ExplainRequest, error) {
	return api.ExplainRequest{Source: "crm", Body: fmt.Appendf(nil, "%s/%d", stream, seq)}, a.err
}

func (a archive) Report(_ context.Context, stream string, seq uint64, form string) (api.Report, error) {
	r := api.Report{Data: fmt.Appendf(nil, "<p>%s/%d", stream, seq), Type: "text/html; charset=utf-8", Policy: "default-src 'none'"}
	if form == "json" {
		r = api.Report{Data: []byte("{}"), Type: "application/json"}
	}
	return r, a.err
}

func (a archive) Verify(_ context.Context, wait time.Duration) (api.Verification, error) {
	return api.Verification{State: fmt.Sprint("waited ", wait)}, a.err
}

func (a archive) Checkpoints(_ context.Context, stream string, q api.ListCheckpointsParams) (api.CheckpointPage, error) {
	return api.CheckpointPage{Stream: stream, Checkpoints: []api.SealedCheckpoint{}, Next: q.After}, a.err
}

func (a archive) Logs(context.Context) (api.Logs, error) {
	return api.Logs{Name: "a name", Logs: []api.Log{}}, a.err
}

func (a archive) Checkpoint(_ context.Context, stream string) ([]byte, error) {
	return []byte("checkpoint of " + stream + "\n"), a.err
}

func (a archive) Tile(_ context.Context, stream, name string) ([]byte, error) {
	return []byte(stream + " " + name), a.err
}

func TestAuditLogRoutes(t *testing.T) {
	t.Parallel()
	away, none, young := errors.New("NATS is away"), api.UnknownRecord.Problem("no such record"), api.NotSealed.Problem("not sealed yet")
	const wrong = "application/problem+json"
	for _, tt := range []struct {
		name, path  string
		err         error
		code        int
		contentType string
		body        string
		cached      string
	}{
		{"callbacks", "/v1/callbacks?verdict=refused&limit=10", nil, 200, "application/json", `"next":"[refused] true"`, ""},
		{"a limit that is none", "/v1/callbacks?limit=x", nil, 400, wrong, "limit", ""},
		{"an unknown parameter", "/v1/callbacks?limit=1&verdct=refused", nil, 400, wrong, `unknown parameter \"verdct\"`, ""},
		{"a parameter twice", "/v1/callbacks?limit=1&limit=2", nil, 400, wrong, `give it once`, ""},
		{"one callback", "/v1/callbacks/JOBS/12", nil, 200, "application/json", `"id":"JOBS/12"`, ""},
		{"one callback alone", "/v1/callbacks/JOBS/12?same_body=false", nil, 200, "application/json", `"id":"JOBS/12"`, ""},
		{"no such callback", "/v1/callbacks/JOBS/13", none, 404, wrong, "urn:receiver:problem:unknown-record", ""},
		{"a sequence that is none", "/v1/callbacks/JOBS/x", nil, 400, wrong, "sequence", ""},
		{"bundle", "/v1/callbacks/JOBS/12/bundle", nil, 200, "application/json", `{"bundle": "JOBS/12"}` + "\n", ""},
		{"no record to prove", "/v1/callbacks/JOBS/13/bundle", none, 404, wrong, "no such record", ""},
		{"a record that is too young", "/v1/callbacks/JOBS/14/bundle", young, 409, wrong, "not sealed yet", ""},
		{"newest first", "/v1/callbacks?reverse=true&action=release&operator=anna", nil, 200, "application/json", `"callbacks":[]`, ""},
		{"report", "/v1/callbacks/JOBS/12/report", nil, 200, "text/html", "<p>JOBS/12", ""},
		{"report for programs", "/v1/callbacks/JOBS/12/report?form=json", nil, 200, "application/json", "{}", ""},
		{"no record to report", "/v1/callbacks/JOBS/13/report", none, 404, wrong, "no such record", ""},
		{"checkpoints", "/v1/log/JOBS/checkpoints?limit=2&after=7", nil, 200, "application/json", `"next":"7"`, ""},
		{"a limit of checkpoints that is none", "/v1/log/JOBS/checkpoints?limit=x", nil, 400, wrong, "limit", ""},
		{"store away", "/v1/callbacks?limit=1", away, 503, wrong, "NATS is away", ""},
		{"logs", "/v1/log", nil, 200, "application/json", `"name":"a name"`, ""},
		{"checkpoint", "/v1/log/JOBS/checkpoint", nil, 200, "text/plain", "checkpoint of JOBS\n", "no-cache"},
		{"no checkpoint", "/v1/log/JOBS/checkpoint", none, 404, wrong, "no such record", ""},
		{"tile", "/v1/log/JOBS/tile/0/x001/067", nil, 200, "application/octet-stream", "JOBS tile/0/x001/067", "max-age=31536000, immutable"},
		{"partial tile", "/v1/log/JOBS/tile/0/000.p/5", nil, 200, "application/octet-stream", "JOBS tile/0/000.p/5", "max-age=31536000, immutable"},
		{"no tile", "/v1/log/JOBS/tile/9/000", none, 404, wrong, "no such record", ""},
		{"tiles away", "/v1/log/JOBS/tile/0/000", away, 503, wrong, "NATS is away", ""},
	} {
		a := archive{tt.err}
		h := web.NewPrivate(web.Private{
			Access: tokens("operator"), Metrics: metrics.New(nil), API: apiserver.Server{Trail: a, Logs: a},
		})
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
	bare := web.NewPrivate(web.Private{Metrics: metrics.New(nil)})
	for _, path := range []string{"/v1/callbacks", "/v1/log", "/v1/log/JOBS/checkpoint", "/v1/log/JOBS/checkpoints", "/v1/callbacks/JOBS/1/report", "/v1/log/JOBS/tile/0/000", "/v1/jobs", "/v1/jobs/counts", "/v1/sources/crm/jobs/7/attempts", "/v1/sources"} {
		if got := get(t, bare, path, ""); got.code != 503 || !strings.Contains(got.body, "does not reach NATS yet") {
			t.Errorf("%s without anything behind it: %d %s, want 503", path, got.code, got.body)
		}
	}
}

// crowded is a Trail whose calls wait until a test ends them. It counts the waiting calls.
type crowded struct {
	archive
	inside atomic.Int32
	leave  chan struct{}
}

func (a *crowded) Callbacks(context.Context, api.ListCallbacksParams) (api.CallbackPage, error) {
	return api.CallbackPage{}, a.wait()
}

func (a *crowded) Callback(context.Context, string, uint64, bool) (*api.CallbackDetail, error) {
	return &api.CallbackDetail{}, a.wait()
}

func (a *crowded) Attempts(context.Context, string, string, api.ListJobAttemptsParams) (api.JobAttempts, error) {
	return api.JobAttempts{}, a.wait()
}

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
		h := web.NewPrivate(web.Private{Access: tokens("operator"), Metrics: metrics.New(nil), API: apiserver.Server{Trail: a}})
		codes := make(chan int, 16)
		ask := func(ctx context.Context, path string) {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
			r.Header.Set("Authorization", "Bearer operator")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			codes <- w.Code
		}
		for range 5 {
			for _, path := range []string{"/v1/callbacks", "/v1/callbacks/JOBS/1", "/v1/callbacks/JOBS/1/bundle", "/v1/sources/crm/jobs/7/attempts"} {
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
		for range 20 {
			if code := <-codes; code != http.StatusOK {
				t.Errorf("a question that waited = %d, want 200", code)
			}
		}
	})
}
