package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/metrics"
	"receiver/internal/poll"
	"receiver/internal/preflight"
	"receiver/internal/submit"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

// ledger is Jobs and Platform that say what they were asked. It knows the job 7 of crm.
type ledger struct {
	broken bool // results break off
	asked  *joblist.Query
}

func (l ledger) List(_ context.Context, q joblist.Query, wait time.Duration) (joblist.Page, error) {
	if l.asked != nil {
		*l.asked = q
	}
	return joblist.Page{Jobs: []joblist.Listed{}, Next: wait.String(), Last: 12}, nil
}

func (l ledger) Counts() joblist.Tallies {
	return joblist.Tallies{Counts: []joblist.Tally{{Source: "crm", State: joblist.Finished, Result: job.Partial, Jobs: 3}}, Last: 12}
}

func (l ledger) Job(_ context.Context, source, id string, ended bool, wait time.Duration) (joblist.Job, error) {
	if source != "crm" {
		return joblist.Job{}, api.UnknownJob.Problem("job %q of source %q is not recorded here", id, source)
	}
	entry := joblist.Entry{Sequence: 3, Kind: job.Finished, Status: fmt.Sprint(ended, wait), Evidence: job.ByCallback}
	return joblist.Job{Source: source, View: job.View{ID: id}, State: joblist.Finished, History: []joblist.Entry{entry}}, nil
}

func (l ledger) Events(_ context.Context, source, id string) ([]job.Stored, error) {
	if source != "crm" {
		return nil, api.UnknownJob.Problem("job %q of source %q is not recorded here", id, source)
	}
	e := job.Event{Kind: job.Finished, Source: source, Job: job.View{ID: id}, Evidence: job.ByCallback}
	text, binary, hidden, lost := e, e, e, e
	text.Data, binary.Data, hidden.Hidden, lost.Lost = []byte("{}"), []byte("\xff"), true, true
	return []job.Stored{{Event: text, Sequence: 1}, {Event: binary, Sequence: 2}, {Event: hidden, Sequence: 3}, {Event: lost, Sequence: 4}}, nil
}

func (l ledger) Errors(_ context.Context, _, _ string, limit int, platform bool) (api.RowErrors, error) {
	return api.RowErrors{From: api.RowErrorsFromEvent, Errors: []poll.Row{{Text: fmt.Sprint(limit, platform)}}}, nil
}

func (l ledger) Object(context.Context, string, string) (string, error) { return "contact", nil }

func (l ledger) Status(_ context.Context, source, id string) (api.Status, error) {
	if source != "crm" {
		return api.Status{}, api.UnknownSource.Problem("no source %q is configured", source)
	}
	return api.Status{ID: id, Status: "RUNNING"}, nil
}

func (l ledger) Objects(context.Context, string) (api.Objects, error) {
	return api.Objects{Objects: []submit.Object{{Name: "contact"}}}, nil
}

func (l ledger) Metadata(_ context.Context, _, object string) (api.Metadata, error) {
	return api.Metadata{Fields: []submit.Field{{Type: "string", VendorPath: object}}}, nil
}

func (l ledger) Preflight(_ context.Context, _, object string, f preflight.File) (preflight.Report, error) {
	return preflight.Report{Format: fmt.Sprint(object, " ", f.Name, f.Metadata, " ", len(f.Head), f.Whole), Columns: []string{}, Findings: []preflight.Finding{}}, nil
}

func (l ledger) Result(_ context.Context, source, id, object, mediaType string) (io.ReadCloser, error) {
	rows := io.Reader(strings.NewReader(strings.Join([]string{source, id, object, mediaType}, " ")))
	if l.broken {
		rows = io.MultiReader(rows, iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	return io.NopCloser(rows), nil
}

func private(l ledger) http.Handler {
	return web.NewPrivate(web.Private{Metrics: metrics.New(nil), API: apiserver.Server{Jobs: l, Platform: l}})
}

func askJobs(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Host = "localhost"
	return apitest.Serve(t, h, r)
}

func TestQuestionsAboutJobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path string
		code       int
		body       string
	}{
		{"a page", "/v1/jobs", 200, `{"jobs":[],"next":"0s","complete":false,"last":12}`},
		{"a page that waits", "/v1/jobs?wait=30s", 200, `"next":"30s"`},
		{"a wait that is too long", "/v1/jobs?wait=61s", 400, "wait"},
		{"a wait that is none", "/v1/jobs?wait=soon", 400, "wait"},
		{"a page of nothing", "/v1/jobs?limit=0", 400, "limit 0 is not 1 to 1000"},
		{"a time that is none", "/v1/jobs?since=yesterday", 400, "since"},
		{"a number that is none", "/v1/jobs?changed_after=-1", 400, "changed_after"},
		{"counts", "/v1/jobs/counts", 200, `{"counts":[{"source":"crm","state":"finished","result":"partial","jobs":3}],"complete":false,"last":12}`},
		{"a job", "/v1/sources/crm/jobs/7", 200, `"status":"true 0s"`},
		{"a job that is waited for", "/v1/sources/crm/jobs/7?wait=1s&until=known", 200, `"status":"false 1s"`},
		{"an end that is none", "/v1/sources/crm/jobs/7?until=soon", 400, "until"},
		{"a job of another source", "/v1/sources/erp/jobs/7", 404, "urn:receiver:problem:unknown-job"},
		{"an id with a slash", "/v1/sources/crm/jobs/a%2Fb", 200, `"id":"a/b"`},
		{"an id with an escape in it", "/v1/sources/crm/jobs/a%252Fb", 200, `"id":"a%2Fb"`},
		{"an id with a percent sign", "/v1/sources/crm/jobs/100%25", 200, `"id":"100%"`},
		{"an id that looks like part of a query", "/v1/sources/crm/jobs/a+b%3Fc", 200, `"id":"a+b?c"`},
		{"events", "/v1/sources/crm/jobs/7/events", 200, `"body":"{}"`},
		{"bytes that are no text", "/v1/sources/crm/jobs/7/events", 200, `"body_base64":"/w=="`},
		{"bytes that are encrypted", "/v1/sources/crm/jobs/7/events", 200, `"body_missing":"encrypted"`},
		{"bytes that are lost", "/v1/sources/crm/jobs/7/events", 200, `"body_missing":"lost"`},
		{"events of no job", "/v1/sources/erp/jobs/7/events", 404, "urn:receiver:problem:unknown-job"},
		{"errors", "/v1/sources/crm/jobs/7/errors", 200, `"text":"1000 false"`},
		{"errors of the platform", "/v1/sources/crm/jobs/7/errors?limit=5&platform=true", 200, `"text":"5 true"`},
		{"a result of another form", "/v1/sources/crm/jobs/7/result?format=xml", 400, "csv"},
		{"a status at no source", "/v1/sources/erp/jobs/7/status", 404, "urn:receiver:problem:unknown-source"},
		{"a status", "/v1/sources/crm/jobs/7/status", 200, `"status":"RUNNING"`},
		{"objects", "/v1/sources/crm/objects", 200, `"name":"contact"`},
		{"fields", "/v1/sources/crm/objects/con%2Ftact", 200, `"vendor_path":"con/tact"`},
		{"the contract", "/openapi.yaml", 200, "openapi: 3.0.3"},
		{"the contract of events", "/asyncapi.yaml", 200, "asyncapi: 3.0.0"},
	} {
		got := askJobs(t, private(ledger{}), tt.path)
		if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.body) {
			t.Errorf("%s: %d %s, want %d with %s", tt.name, got.Code, got.Body, tt.code, tt.body)
		}
	}
}

func TestAllFiltersReachTheList(t *testing.T) {
	t.Parallel()
	var asked joblist.Query
	got := askJobs(t, private(ledger{asked: &asked}), "/v1/jobs?source=crm&object=contact&state=finished&state=lost&result=partial&text=42"+
		"&since=2026-11-01T00:00:00Z&until=2026-11-02T00:00:00Z&changed_after=9&sort=id&reverse=true&limit=7&cursor=abc")
	want := joblist.Query{
		Source: "crm", Object: "contact", States: []joblist.State{joblist.Finished, joblist.Lost}, Results: []job.Result{job.Partial}, Text: "42",
		Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), ChangedAfter: 9,
		Sort: joblist.ByID, Reverse: true, Limit: 7, Cursor: "abc",
	}
	if got.Code != 200 || fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("GET = %d, and the list was asked for %+v, want %+v", got.Code, asked, want)
	}
}

// A request keeps its id, or gets one; one that could break a log line is not taken over.
func TestRequestsHaveIDs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ sent, want string }{
		{"order-7/b:c@d=e+f_g.h", "order-7/b:c@d=e+f_g.h"}, {"", ""}, {"two words", ""}, {"a\"b", ""}, {"é", ""}, {strings.Repeat("x", 129), ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/none", nil)
		r.Host = "localhost"
		r.Header.Set("X-Request-Id", tt.sent)
		w := apitest.Serve(t, private(ledger{}), r)
		got := w.Header().Get("X-Request-Id")
		if got == "" || tt.want != "" && got != tt.want || tt.want == "" && got == tt.sent || !strings.Contains(w.Body.String(), `"request_id":"`+got+`"`) {
			t.Errorf("id %q: got %q and %s, want %q", tt.sent, got, w.Body, tt.want)
		}
	}
}

// A result is streamed, and what the platform does not give to its end does not look whole.
func TestResultsAreStreamed(t *testing.T) {
	t.Parallel()
	for _, broken := range []bool{false, true} {
		// The timeouts of the listener are for short answers.
		addr := serve(t, private(ledger{broken: broken}), web.Limits{Read: time.Minute, Write: time.Minute})
		got, err := http.Get("http://" + addr + "/v1/sources/crm/jobs/7/result?format=jsonl")
		var body []byte
		if err == nil {
			body, err = io.ReadAll(got.Body)
			if got.StatusCode != 200 || got.Header.Get("Content-Type") != "application/jsonl" {
				t.Errorf("broken %v: %d %s", broken, got.StatusCode, got.Header.Get("Content-Type"))
			}
		}
		if (err != nil) != broken || !broken && string(body) != "crm 7 contact application/jsonl" {
			t.Errorf("broken %v: %q, %v", broken, body, err)
		}
	}
}

// waiter is Jobs of which a page comes after all that a client waits.
type waiter struct{ ledger }

func (waiter) List(ctx context.Context, _ joblist.Query, wait time.Duration) (joblist.Page, error) {
	select {
	case <-time.After(wait):
		return joblist.Page{Jobs: []joblist.Listed{}}, nil
	case <-ctx.Done():
		return joblist.Page{}, errors.New("the client seems to have gone")
	}
}

// A request that waits outlives the timeouts of the listener.
func TestWaitingOutlivesTheTimeouts(t *testing.T) {
	t.Parallel()
	h := web.NewPrivate(web.Private{Metrics: metrics.New(nil), API: apiserver.Server{Jobs: waiter{}}})
	addr := serve(t, h, web.Limits{ReadHeader: 50 * time.Millisecond, Read: 50 * time.Millisecond, Write: 50 * time.Millisecond})
	got, err := http.Get("http://" + addr + "/v1/jobs?wait=500ms")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(got.Body); err != nil || got.StatusCode != 200 {
		t.Errorf("GET = %d %s, %v", got.StatusCode, body, err)
	}
}
