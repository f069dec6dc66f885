package web_test

import (
	"bytes"
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

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/access"
	"receiver/internal/job"
	"receiver/internal/metrics"
	"receiver/internal/submission"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

// desk is Submissions and Actions that say what they were asked.
type desk struct{ asked *submission.Request }

func (d desk) Submit(_ context.Context, q submission.Request) (job.Submission, error) {
	made := job.Submission{Source: q.Source, Name: "s-1", Object: q.Object, State: job.SubmissionSubmitted, Job: "a/b"}
	if q.Body != nil {
		text, err := io.ReadAll(q.Body)
		if err != nil {
			var known *api.Problem
			if errors.As(err, &known) {
				return made, known
			}
			return made, api.BadRequest.Problem("reading: %v", err)
		}
		made.Body = string(text)
	}
	switch q.Key {
	case "lost":
		made.State, made.Job = job.SubmissionUnknown, ""
	case "busy":
		p := api.Busy.Problem("wait")
		p.RetryAfter = 2
		return made, p
	}
	if d.asked != nil {
		q.Body = nil
		*d.asked = q
	}
	return made, nil
}

func (d desk) Submission(_ context.Context, source, name string) (job.Submission, error) {
	return job.Submission{Source: source, Name: name, State: job.SubmissionPending}, nil
}

func (d desk) Cancel(_ context.Context, by apiserver.By, _, id string) (api.Status, error) {
	return api.Status{ID: id, Status: fmt.Sprint(by)}, nil
}

func (d desk) Poll(context.Context, string, string) error { return nil }

func (d desk) Release(_ context.Context, by apiserver.By, source, id string) ([]job.Stored, error) {
	e := job.Event{Kind: job.Finished, Source: source, Job: job.View{ID: id, Status: fmt.Sprint(by)}, Evidence: job.ByCallback}
	return []job.Stored{{Event: e, Sequence: 1}}, nil
}

func (d desk) Replay(_ context.Context, by apiserver.By, _, _ string, kind job.Kind) (api.Replay, error) {
	return api.Replay{Stream: "REPLAYS", Sequence: 1, Subject: fmt.Sprint(kind, by), Of: 2}, nil
}

func withDesk(d desk) http.Handler {
	return web.NewPrivate(web.Private{Metrics: metrics.New(nil), API: apiserver.Server{Jobs: ledger{}, Submissions: d, Actions: d}})
}

// form is a form of these parts, each a name, a colon and its contents; a name with a slash has a
// name of a file, too.
func formOf(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		name, text, _ := strings.Cut(p, ":")
		name, file, isFile := strings.Cut(name, "/")
		if isFile {
			file = `; filename="` + file + `"`
		}
		fmt.Fprintf(&b, "--B\r\nContent-Disposition: form-data; name=%q%s\r\n\r\n%s\r\n", name, file, text)
	}
	return b.String() + "--B--\r\n"
}

const (
	csvType  = "text/csv"
	formType = "multipart/form-data; boundary=B"
	jsonType = "application/json; charset=utf-8"
)

func TestWhatIsSubmitted(t *testing.T) {
	t.Parallel()
	upload := submission.Request{Source: "crm", Direction: "UPLOAD", Object: "contact", FileName: "upload.csv", Size: -1}
	with := func(q submission.Request, change func(*submission.Request)) submission.Request { change(&q); return q }
	for _, tt := range []struct {
		name, query, contentType, key, body string
		want                                submission.Request
		file                                string
	}{
		{"a file", "?object=contact", csvType, "", "a,b\n", with(upload, func(q *submission.Request) { q.Size = 4 }), "a,b\n"},
		{"a file with all parameters", "?object=contact&file_name=c.csv&path=/c.csv&metadata=%7B%7D&callback_payload=7", "text/csv; charset=utf-8", "order-7,a", "a", with(upload, func(q *submission.Request) {
			q.Key, q.FileName, q.Path, q.Metadata, q.Payload, q.Size = "order-7,a", "c.csv", "/c.csv", []byte("{}"), []byte("7"), 1
		}), "a"},
		{"a form", "?object=contact", formType, "", formOf("file/c.csv:a,b"), with(upload, func(q *submission.Request) { q.FileName = "c.csv" }), "a,b"},
		{"a form with all fields", "", formType, "k", formOf("object:contact", "path:/c.csv", `metadata:{"a":1}`, "callback_payload:null", `file/c.csv:a`), with(upload, func(q *submission.Request) {
			q.Key, q.FileName, q.Path, q.Metadata, q.Payload = "k", "c.csv", "/c.csv", []byte(`{"a":1}`), []byte("null")
		}), "a"},
		{"a form whose file has no name", "?object=contact", formType, "", formOf("file:a"), upload, "a"},
		{"rows to gather", "", jsonType, "", `{"direction":"query","q":"select","metadata":{"a":1}}`, submission.Request{
			Source: "crm", Gather: api.Gathering{Direction: api.GatheringDirectionQuery, Q: "select", Metadata: []byte(`{"a":1}`)}}, ""},
	} {
		var asked submission.Request
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sources/crm/jobs"+tt.query, strings.NewReader(tt.body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", tt.contentType)
		r.Header.Set("X-Request-Id", "request-7")
		if tt.key != "" {
			r.Header.Set("Idempotency-Key", tt.key)
		}
		got := apitest.Serve(t, withDesk(desk{asked: &asked}), r)
		tt.want.RequestID = "request-7"
		if got.Code != http.StatusAccepted || got.Header().Get("Location") != "/v1/sources/crm/jobs/a%2Fb" {
			t.Errorf("%s: %d %s at %q, want 202 with the address of the job", tt.name, got.Code, got.Body, got.Header().Get("Location"))
			continue
		}
		if a, b := fmt.Sprintf("%#v", asked), fmt.Sprintf("%#v", tt.want); a != b {
			t.Errorf("%s: asked for\n%s, want\n%s", tt.name, a, b)
		}
		if want := fmt.Sprintf("%q", tt.file); tt.file != "" && !strings.Contains(got.Body.String(), `"body_sha256":`+want) {
			t.Errorf("%s: %s, want the file %s", tt.name, got.Body, want)
		}
	}
}

func TestWhatIsNotSubmitted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path, contentType, key, body string
		code                               int
		says                               string
	}{
		{"without a type", "?object=c", "", "", "a", 415, "text/csv"},
		{"as curl sends it", "?object=c", "application/x-www-form-urlencoded", "", "a", 415, "text/csv"},
		{"an unknown parameter", "?objekt=c", csvType, "", "a", 400, "objekt"},
		{"a key with a space", "?object=c", csvType, "a b", "a", 400, "Idempotency-Key"},
		{"a key that is too long", "?object=c", csvType, strings.Repeat("k", 256), "a", 400, "Idempotency-Key"},
		{"a key that is in use", "?object=c", csvType, "busy", "a", 409, "busy"},
		{"a form without a file", "?object=c", formType, "", formOf("path:/a"), 400, "no part file"},
		{"a form that breaks off before its file", "?object=c", formType, "", "--B\r\nX", 400, "cannot be read"},
		{"a form that breaks off in its file", "?object=c", formType, "", strings.TrimSuffix(formOf("file/c.csv:a"), "\r\n--B--\r\n"), 400, "reading"},
		{"a form that breaks off at the end of its file", "?object=c", formType, "", strings.TrimSuffix(formOf("file/c.csv:a"), "--\r\n"), 400, "reading"},
		{"a form without a boundary", "?object=c", "multipart/form-data", "", "a", 400, "boundary"},
		{"a form with an unknown field", "?object=c", formType, "", formOf("meta:{}", "file/c.csv:a"), 400, "unknown field"},
		{"a form with a field behind its file", "?object=c", formType, "", formOf("file/c.csv:a", "metadata:{}"), 400, "send the file last"},
		{"a form with a second file", "?object=c", formType, "", formOf("file/c.csv:a", "file/d.csv:a"), 400, "send the file last"},
		{"a form with many fields", "?object=c", formType, "", formOf(append(strings.Split(strings.Repeat("path:a ", 9), " ")[:9], "file/c.csv:a")...), 400, "more than 8 fields"},
		{"a form with a long field", "?object=c", formType, "", formOf("path:"+strings.Repeat("a", 65<<10), "file/c.csv:a"), 413, "longer than 64 KiB"},
		{"a form with a header that is too long", "?object=c", formType, "", "--B\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\na\r\n" + formOf("file/c.csv:a"), 413, "beside its file"},
		{"a form with much behind its file", "?object=c", formType, "", strings.TrimSuffix(formOf("file/c.csv:a"), "--\r\n") + "\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 413, "beside its file"},
		{"a form with a parameter of a file", "?object=c&metadata=%7B%7D", formType, "", formOf("file/c.csv:a"), 400, "a form has it as a field"},
		{"JSON with a parameter of a file", "?object=c", jsonType, "", `{"direction":"query","q":"a"}`, 400, "as a member of the JSON object"},
		{"JSON with a member that is misspelt", "", jsonType, "", `{"direction":"download","object":"c","wher":"a"}`, 400, "wher"},
		{"two requests in one", "", jsonType, "", `{"direction":"query","q":"a"}{}`, 400, "one object"},
		{"no JSON", "", jsonType, "", "{", 400, "not understood"},
		{"long JSON", "", jsonType, "", `{"direction":"query","q":"` + strings.Repeat("a", 65<<10) + `"}`, 413, "64 KiB"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sources/crm/jobs"+tt.path, strings.NewReader(tt.body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", tt.contentType)
		if tt.key != "" {
			r.Header.Set("Idempotency-Key", tt.key)
		}
		got := apitest.Serve(t, withDesk(desk{}), r)
		if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.says) {
			t.Errorf("%s: %d %s, want %d with %q", tt.name, got.Code, got.Body, tt.code, tt.says)
		}
		if after := got.Header().Get("Retry-After"); (after == "2") != (tt.key == "busy") {
			t.Errorf("%s: Retry-After is %q", tt.name, after)
		}
	}
}

// An empty key, as of a variable that is not set, would be no key.
func TestHeadersThatAreNotHeeded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, name, value string
		code              int
	}{
		{"/v1/sources/crm/jobs?object=c", "Idempotency-Key", "", 400},
		{"/v1/sources/crm/jobs?object=c", "Content-Encoding", "gzip", 415},
		{"/v1/sources/crm/objects/c/preflight", "Content-Encoding", "gzip", 415},
		{"/v1/sources/crm/jobs?object=c", "Content-Encoding", "identity", 202},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tt.path, strings.NewReader("a"))
		r.Host = "localhost"
		r.Header.Set("Content-Type", csvType)
		r.Header.Set(tt.name, tt.value)
		if got := apitest.Serve(t, withDesk(desk{}), r); got.Code != tt.code || got.Code >= 400 && !strings.Contains(got.Body.String(), tt.name) {
			t.Errorf("POST %s with %s: %q = %d %s, want %d", tt.path, tt.name, tt.value, got.Code, got.Body, tt.code)
		}
	}
}

func TestSubmissionsAreFound(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sources/crm/jobs?object=c", strings.NewReader("a"))
	r.Host = "localhost"
	r.Header.Set("Content-Type", csvType)
	r.Header.Set("Idempotency-Key", "lost")
	got := apitest.Serve(t, withDesk(desk{}), r)
	at := got.Header().Get("Location")
	if got.Code != http.StatusAccepted || at != "/v1/sources/crm/submissions/s-1" {
		t.Errorf("a lost answer: %d, at %q", got.Code, at)
	}
	if got := askJobs(t, withDesk(desk{}), at); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"submission":"s-1","state":"pending"`) {
		t.Errorf("GET %s = %d %s", at, got.Code, got.Body)
	}
}

// The record of an action names the operator and the reason.
func TestActionsOnJobs(t *testing.T) {
	t.Parallel()
	set := access.NewSet("", 1000, time.Now)
	secret, token, err := access.New("ops", access.Scopes, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	set.Replace([]access.Token{token}, true)
	h := web.NewPrivate(web.Private{
		Access: set, Record: unrecorded, Metrics: metrics.New(nil), Log: zerolog.Nop(),
		API: apiserver.Server{Jobs: ledger{}, Submissions: desk{}, Actions: desk{}},
	})
	for _, tt := range []struct {
		path string
		code int
		says string
	}{
		{"cancel?reason=wrong+file", 200, `"status":"{token ops wrong file request-7}"`},
		{"cancel", 200, `"status":"{token ops  request-7}"`},
		{"cancel?raison=a", 400, "raison"},
		{"poll", 202, `"status":"false 0s"`},
		{"release?reason=known", 200, `"status":"{token ops known request-7}"`},
		{"replay?reason=lost", 200, `"subject":"finished{token ops lost request-7}"`},
		{"replay?kind=errors", 200, `"subject":"errors{token ops  request-7}"`},
		{"delete", 404, "no-such-path"},
	} {
		got := ask(t, h, http.MethodPost, "/v1/sources/crm/jobs/7/"+tt.path, secret)
		if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.says) {
			t.Errorf("POST %s = %d %s, want %d with %s", tt.path, got.Code, got.Body, tt.code, tt.says)
		}
	}
}

// slowDesk takes files that come slower than the timeouts of the listener.
type slowDesk struct{ desk }

func (d slowDesk) Submit(ctx context.Context, q submission.Request) (job.Submission, error) {
	made, err := d.desk.Submit(ctx, q)
	<-time.After(200 * time.Millisecond) // the platform's answer
	return made, errors.Join(err, ctx.Err())
}

// The timeouts of the listener are for short requests. A file may take longer, and so may the
// platform; one that breaks off is none.
func TestFilesMayTakeLongerThanTheTimeouts(t *testing.T) {
	t.Parallel()
	h := web.NewPrivate(web.Private{Metrics: metrics.New(nil), API: apiserver.Server{Submissions: slowDesk{}}})
	addr := serve(t, h, web.Limits{Read: 100 * time.Millisecond, Write: 50 * time.Millisecond})
	for name, broken := range map[string]bool{"whole": false, "that breaks off": true} {
		in, out := io.Pipe()
		go func() {
			for range 5 {
				<-time.After(50 * time.Millisecond)
				_, _ = out.Write([]byte("a,b\n"))
			}
			if broken {
				_ = out.CloseWithError(errors.New("gone"))
			}
			_ = out.Close()
		}()
		got, err := http.Post("http://"+addr+"/v1/sources/crm/jobs?object=contact", csvType, in)
		if err != nil {
			if !broken {
				t.Errorf("a file %s: %v", name, err)
			}
			continue
		}
		body, err := io.ReadAll(got.Body)
		if (got.StatusCode == http.StatusAccepted) == broken || err != nil || !broken && !bytes.Contains(body, []byte(strings.Repeat(`a,b\n`, 5))) {
			t.Errorf("a file %s: %d %s, %v", name, got.StatusCode, body, err)
		}
	}
}

// A client that goes on sending nothing does not keep its connection.
func TestBrokenReadsOfAFileAreErrors(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sources/crm/jobs?object=contact", iotest.ErrReader(io.ErrUnexpectedEOF))
	r.Host = "localhost"
	r.Header.Set("Content-Type", csvType)
	w := httptest.NewRecorder()
	withDesk(desk{}).ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("a file that cannot be read: %d %s, want 400", w.Code, w.Body)
	}
}

// Of a file that is checked only the beginning counts, whatever is sent.
func TestTheBeginningOfAFileIsChecked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, query, contentType, body string
		code                           int
		says                           string
	}{
		{"a short file", "?file_name=c.csv&metadata=%7B%7D", csvType, "a,b", 200, `"format":"con/tact c.csv{} 3 true"`},
		{"a long file", "", csvType, strings.Repeat("a", 1<<20), 200, `"format":"con/tact  65536 false"`},
		{"another type", "", jsonType, "{}", 415, "text/csv"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sources/crm/objects/con%2Ftact/preflight"+tt.query, strings.NewReader(tt.body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", tt.contentType)
		got := apitest.Serve(t, private(ledger{}), r)
		if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.says) {
			t.Errorf("%s: %d %s, want %d with %s", tt.name, got.Code, got.Body, tt.code, tt.says)
		}
	}
}

// FuzzForm holds that no form makes the listener panic, and that each is taken or refused.
func FuzzForm(f *testing.F) {
	f.Add(formOf("path:/c.csv", "metadata:{}", "file/c.csv:a,b"))
	f.Add(formOf("file/c.csv:a", "metadata:{}"))
	f.Add("--B\r\n\r\n--B\r\nContent-Disposition: form-data; name=file\r\n\r\n--B--")
	h := withDesk(desk{})
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sources/crm/jobs?object=contact", strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", formType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusAccepted && w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}
