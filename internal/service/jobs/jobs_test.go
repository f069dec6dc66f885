package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/service/jobs"
	"receiver/internal/submit"
)

// rig is a reader over a real store, with a platform whose answers a test sets.
type rig struct {
	jobs.Reader
	t      *testing.T
	store  *publish.Store
	answer func(path string) (code int, body string)
}

func open(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, store: natstest.Open(t, natstest.Start(t, t.TempDir()))}
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return // no job is made of a request that does not come to its end
		}
		code, body := r.answer(q.URL.Path)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(platform.Close)
	client, err := submit.New(submit.Options{Source: "demo", BaseURL: platform.URL, Hub: "crm", Element: "e", User: "u"})
	if err != nil {
		t.Fatal(err)
	}
	list := joblist.NewProjection(joblist.Options{Briefs: r.store, Log: zerolog.Nop()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); list.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	<-list.Ready()
	r.Reader = jobs.Reader{Listed: list, Store: r.store, Platform: jobs.Platform{
		Clients: func(source string) (*submit.Client, error) {
			if source == "demo" {
				return client, nil
			}
			return nil, errors.New("source mute has no element_token and user_secret, so the platform cannot be polled")
		},
		Known: func(source string) bool { return source == "demo" || source == "mute" },
	}}
	return r
}

func (r *rig) event(k job.Kind, id, status string) job.Stored {
	r.t.Helper()
	s := natstest.Store(r.t, r.store, natstest.Event(k, id, status))
	natstest.Eventually(r.t, "the list has event "+fmt.Sprint(s.Sequence), func() bool {
		page, err := r.Listed.List(joblist.Query{})
		return err == nil && page.Last >= s.Sequence
	})
	return s
}

// kind fails the test unless an error is a problem of a kind.
func kind(t *testing.T, what string, err error, want api.ProblemKind) {
	t.Helper()
	var p *api.Problem
	if !errors.As(err, &p) || !want.Is(p) {
		t.Errorf("%s: %v, want a problem %s", what, err, want.Type())
	}
}

func TestAListWaitsForItsFirstJob(t *testing.T) {
	t.Parallel()
	r := open(t)
	finished := joblist.Query{Source: "demo", States: []joblist.State{joblist.Finished}}
	r.event(job.Submitted, "1", "CREATED")
	if page, err := r.List(t.Context(), finished, time.Millisecond); err != nil || len(page.Jobs) != 0 || page.Last != 1 {
		t.Errorf("List = %+v, %v, want an empty page after the wait, up to sequence 1", page, err)
	}
	type result struct {
		page joblist.Page
		err  error
	}
	got := make(chan result)
	go func() {
		page, err := r.List(t.Context(), finished, time.Minute)
		got <- result{page, err}
	}()
	r.event(job.Progress, "1", "RUNNING")
	r.event(job.Finished, "1", "COMPLETED")
	if g := <-got; g.err != nil || len(g.page.Jobs) != 1 || g.page.Jobs[0].ID != "1" {
		t.Errorf("List = %+v, %v, want the job that finished meanwhile", g.page, g.err)
	}
	all := joblist.Query{ChangedAfter: 3}
	if page, err := r.List(t.Context(), all, 0); err != nil || len(page.Jobs) != 0 {
		t.Errorf("List after sequence 3 = %+v, %v, want none", page, err)
	}
	all.ChangedAfter = 2
	if page, err := r.List(t.Context(), all, 0); err != nil || len(page.Jobs) != 1 {
		t.Errorf("List after sequence 2 = %+v, %v, want the job", page, err)
	}
	_, err := r.List(t.Context(), joblist.Query{States: []joblist.State{"gone"}}, time.Minute)
	kind(t, "a state that there is not", err, api.BadRequest)
	_, err = r.List(t.Context(), joblist.Query{Cursor: "x"}, time.Minute)
	kind(t, "a cursor of no page", err, api.BadRequest)
}

func TestAJobIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := open(t)
	for _, tt := range []struct {
		name   string
		ended  bool
		events []job.Kind // that come while it is waited for
		want   joblist.State
	}{
		{"until it has ended", true, []job.Kind{job.Submitted, job.Progress, job.Finished}, joblist.Finished},
		{"until it is known", false, []job.Kind{job.Submitted}, joblist.Submitted},
	} {
		id := fmt.Sprint(len(tt.events))
		got := make(chan joblist.Job)
		go func() {
			j, err := r.Job(t.Context(), "demo", id, tt.ended, time.Minute)
			if err != nil {
				t.Error(err)
			}
			got <- j
		}()
		r.event(job.Finished, id+"0", "COMPLETED") // another one, whose id holds this one
		for _, k := range tt.events {
			r.event(k, id, map[job.Kind]string{job.Submitted: "CREATED", job.Progress: "RUNNING", job.Finished: "COMPLETED"}[k])
		}
		if j := <-got; j.State != tt.want || j.View.ID != id {
			t.Errorf("%s: %s is %q, want %s", tt.name, j.View.ID, j.State, tt.want)
		}
	}
	if j, err := r.Job(t.Context(), "demo", "1", true, time.Millisecond); err != nil || j.State != joblist.Submitted {
		t.Errorf("a job that does not end in time = %+v, %v, want it as it is", j, err)
	}
	_, err := r.Job(t.Context(), "demo", "nope", true, time.Millisecond)
	kind(t, "a job that nobody knows", err, api.UnknownJob)
	_, err = r.Job(t.Context(), "*", "1", true, 0)
	kind(t, "a source that is a wildcard", err, api.UnknownJob)
	if _, err = r.Events(t.Context(), "*", "1"); err == nil {
		t.Error("a wildcard gave the events of a source")
	}
}

func TestEventsOfAJob(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.event(job.Submitted, "1", "CREATED")
	r.event(job.Finished, "1", "COMPLETED")
	events, err := r.Events(t.Context(), "demo", "1")
	if err != nil || len(events) != 2 || len(events[1].Data) == 0 {
		t.Errorf("Events = %+v, %v, want both with their bodies", events, err)
	}
	_, err = r.Events(t.Context(), "demo", "2")
	kind(t, "events of no job", err, api.UnknownJob)
	if object, err := r.Object(t.Context(), "demo", "1"); err != nil || object != events[0].Job.Object {
		t.Errorf("Object = %q, %v, want %q", object, err, events[0].Job.Object)
	}
}

// Errors come from the errors event, and from the platform where there is none.
func TestErrorsOfRows(t *testing.T) {
	t.Parallel()
	r := open(t)
	e := natstest.Event(job.Errors, "1", "COMPLETED")
	e.Data = []byte(`{"job":"1","source":"demo","count":2,"rows":[{"text":"a"},{"text":"b"}]}`)
	natstest.Store(t, r.store, e)
	r.answer = func(string) (int, string) { return 200, `[{"error":"c"},{"error":"d"},{"error":"e"}]` }
	for _, tt := range []struct {
		name, id  string
		limit     int
		platform  bool
		from      api.RowErrorsFrom
		rows      int
		truncated bool
	}{
		{"of the event", "1", 10, false, api.RowErrorsFromEvent, 2, false},
		{"of the event, cut", "1", 1, false, api.RowErrorsFromEvent, 1, true},
		{"of the platform, asked for", "1", 10, true, api.RowErrorsFromPlatform, 3, false},
		{"of the platform, without an event", "2", 3, false, api.RowErrorsFromPlatform, 3, false},
		{"of the platform, cut", "2", 2, false, api.RowErrorsFromPlatform, 2, true},
	} {
		got, err := r.Errors(t.Context(), "demo", tt.id, tt.limit, tt.platform)
		if err != nil || got.From != tt.from || len(got.Errors) != tt.rows || got.Truncated != tt.truncated {
			t.Errorf("%s: %+v, %v, want %d from %s, truncated %v", tt.name, got, err, tt.rows, tt.from, tt.truncated)
		}
	}
	_, err := r.Errors(t.Context(), "*", "1", 10, false)
	kind(t, "a source that is a wildcard", err, api.UnknownSource)
}

func TestThePlatformsWords(t *testing.T) {
	t.Parallel()
	r := open(t)
	for _, tt := range []struct {
		name, source, id string
		code             int
		body             string
		want             api.ProblemKind
	}{
		{"a source that there is not", "erp", "7", 200, "{}", api.UnknownSource},
		{"a source without secrets", "mute", "7", 200, "{}", api.NotConfigured},
		{"an id that is none", "demo", "..", 200, "{}", api.BadRequest},
		{"a job that it does not know", "demo", "7", 404, `{"message":"no such job"}`, api.UnknownAtPlatform},
		{"secrets that it refuses", "demo", "7", 401, `{"message":"no"}`, api.PlatformRefused},
		{"an answer in no form", "demo", "7", 200, "<html>", api.PlatformFailed},
	} {
		r.answer = func(string) (int, string) { return tt.code, tt.body }
		_, err := r.Platform.Status(t.Context(), tt.source, tt.id)
		kind(t, tt.name, err, tt.want)
	}
	r.answer = func(path string) (int, string) {
		switch {
		case strings.HasSuffix(path, "/objects"):
			return 200, `["contact"]`
		case strings.HasSuffix(path, "/metadata"):
			return 200, `{"fields":[{"type":"string","vendorPath":"mail"}]}`
		case strings.HasSuffix(path, "/7/status"):
			return 200, `{"id":"7","status":"RUNNING"}`
		}
		return 200, "a,b\n"
	}
	p := r.Platform
	if s, err := p.Status(t.Context(), "demo", "7"); err != nil || s.Status != "RUNNING" {
		t.Errorf("Status = %+v, %v", s, err)
	}
	if o, err := p.Objects(t.Context(), "demo"); err != nil || len(o.Objects) != 1 {
		t.Errorf("Objects = %+v, %v", o, err)
	}
	if m, err := p.Metadata(t.Context(), "demo", "contact"); err != nil || m.Fields[0].VendorPath != "mail" {
		t.Errorf("Metadata = %+v, %v", m, err)
	}
	rows, err := p.Result(t.Context(), "demo", "7", "contact", "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if text, err := io.ReadAll(rows); err != nil || string(text) != "a,b\n" {
		t.Errorf("Result = %q, %v", text, err)
	}
}
