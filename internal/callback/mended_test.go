package callback_test

import (
	"strings"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
)

func TestMended(t *testing.T) {
	const body = `{"id":"7","status":"COMPLETED","recordsCount":1}`
	mended := source(t, "demo", "the right key").Verifier
	received := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	attempt := func(change func(*job.Attempt)) job.Attempt {
		a := job.Attempt{
			Source: "demo", Verdict: "mismatch", Body: []byte(body), Size: int64(len(body)), SHA256: job.BodySHA256([]byte(body)),
			Receipt: job.Receipt{
				Signature: sign("the right key", body), Remote: "192.0.2.7", Received: received,
				Request: `{"Content-Type":["text/plain"],"Host":["x"]}`,
			},
		}
		change(&a)
		return a
	}
	for _, row := range []struct {
		name   string
		change func(*job.Attempt)
		want   job.Kind // empty: it stays refused
	}{
		{"signed with the key that was mended", func(*job.Attempt) {}, job.Finished},
		{"no notification of a job", func(a *job.Attempt) {
			a.Body = []byte("hello")
			a.Receipt.Signature = sign("the right key", "hello")
		}, job.Unrecognised},
		{"under way", func(a *job.Attempt) {
			a.Body = []byte(`{"id":"7","status":"RUNNING"}`)
			a.Receipt.Signature = sign("the right key", string(a.Body))
		}, job.Progress},
		{"still wrong", func(a *job.Attempt) { a.Receipt.Signature = sign("another key", body) }, ""},
		{"without its body", func(a *job.Attempt) { a.Body = nil }, ""},
		{"refused for its form", func(a *job.Attempt) { a.Verdict = "malformed" }, ""},
		{"refused for its token", func(a *job.Attempt) { a.Verdict = callback.MissingToken }, ""},
		{"a duplicate", func(a *job.Attempt) { a.Verdict = job.Duplicate }, ""},
	} {
		a := attempt(row.change)
		e, ok := callback.Mended(a, mended)
		if ok != (row.want != "") || ok && e.Kind != row.want {
			t.Errorf("%s: Mended = %s, %v, want %q", row.name, e.Kind, ok, row.want)
			continue
		}
		if !ok {
			continue
		}
		if e.Evidence != job.ByReverify || e.Source != "demo" || !e.Time.Equal(received) || string(e.Data) != string(a.Body) {
			t.Errorf("%s: event %+v, want late evidence of the callback as it came", row.name, e)
		}
		if r := e.Receipt; r == nil || r.Signature != a.Receipt.Signature || r.Fingerprint == "" || r.Remote != "192.0.2.7" || r.Request != a.Receipt.Request {
			t.Errorf("%s: receipt %+v, want that of the attempt, with the key", row.name, e.Receipt)
		}
		if e.Kind == job.Unrecognised && !strings.HasPrefix(e.ContentType, "text/plain") {
			t.Errorf("%s: content type %q, want that of the request", row.name, e.ContentType)
		}
	}
	for _, request := range []string{"", `{"Host":["x"]}`, `{"Content-Type":[]}`} {
		e, ok := callback.Mended(attempt(func(a *job.Attempt) {
			a.Body, a.Receipt.Signature, a.Receipt.Request = []byte("hello"), sign("the right key", "hello"), request
		}), mended)
		if !ok || e.ContentType != "application/octet-stream" {
			t.Errorf("with headers %s: Mended = %+v, %v, want an event of no known content type", request, e, ok)
		}
	}
}
