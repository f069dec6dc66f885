package web_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/bench/ceiling"
	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/metrics"
	"receiver/internal/tracing"
	"receiver/internal/verify"
	"receiver/internal/web"
)

const benchKey = "the-key-of-the-benchmarks"

// benchBody is the body of 246 bytes that figures are given for.
var benchBody = func() string {
	const body = `{"id":"42114492","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1,` +
		`"instanceId":425904,"object_name":"contact","job_direction":"UPLOAD","fileFormat":"csv","note":"`
	return body + strings.Repeat("x", 246-len(body)-2) + `"}`
}()

// BenchmarkCallback measures the public listener without network and store, and, as the baselines,
// Echo with the least work.
func BenchmarkCallback(b *testing.B) {
	for _, bb := range []struct {
		name, key string
		handler   http.Handler
		code      int
	}{
		{"accepted", benchKey, public(b), http.StatusOK},
		{"refused", "another", public(b), http.StatusUnauthorized},
		{"ceiling", benchKey, ceiling.New(benchVerifier(b), stored), http.StatusOK},
		{"Echo+HMAC", "another", ceiling.New(benchVerifier(b), nil), http.StatusUnauthorized},
	} {
		b.Run(bb.name, func(b *testing.B) {
			serve := repeated(b, bb.handler, bb.key)
			b.ReportAllocs()
			for b.Loop() {
				if got := serve(); got != bb.code {
					b.Fatalf("answered %d, want %d", got, bb.code)
				}
			}
		})
	}
}

func stored(context.Context, []byte) error { return nil }

// public returns the public listener with a store that accepts everything and a discarded log.
func public(tb testing.TB) http.Handler { return traced(tb, nil) }

// traced is public with a tracer.
func traced(tb testing.TB, tracer *tracing.Tracer) http.Handler {
	tb.Helper()
	r, err := callback.New(callback.Options{
		Sources: []callback.Source{{Name: "demo", Verifier: benchVerifier(tb)}}, Store: takesAll{}, AttemptBody: 64 << 10,
	})
	if err != nil {
		tb.Fatal(err)
	}
	figures, key := metrics.New(nil), benchVerifier(tb).Keys()[0]
	figures.SetSources([]keyusage.Key{{Source: "demo", Name: key.Name(), Fingerprint: key.Fingerprint()}})
	return web.NewPublic(web.Public{
		Receiver: r, BodyLimit: 8 << 20, Timeout: time.Minute,
		Metrics: figures, Retries: callback.NewRetryState(),
		Log: zerolog.New(io.Discard).With().Timestamp().Logger(), Tracer: tracer,
	})
}

// takesAll is a store that takes everything and keeps nothing; the job "again" has ended before.
type takesAll struct{}

func (takesAll) Publish(_ context.Context, e job.Event) (job.Stored, error) {
	return job.Stored{Event: e, Sequence: 1, Existed: e.Job.ID == "again"}, nil
}
func (takesAll) Record(context.Context, job.Attempt) error { return nil }
func (takesAll) Offer(func() job.Attempt) bool             { return true }

func benchVerifier(tb testing.TB) *verify.Verifier {
	tb.Helper()
	k, err := verify.NewKey("bench", []byte(benchKey), verify.Window{})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := verify.New(k)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func signed(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// repeated returns what serves one request again and again, without an allocation of its
// own but for the body's wrapping.
func repeated(tb testing.TB, h http.Handler, key string) func() int {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/callbacks/demo", nil)
	r.ContentLength = int64(len(benchBody))
	for name, value := range map[string]string{
		verify.Header: signed(key, benchBody), "Content-Type": "application/json", "User-Agent": "platform/1",
		"Accept": "*/*", "Content-Length": "246",
	} {
		r.Header.Set(name, value)
	}
	text := []byte(benchBody)
	body := bytes.NewReader(text)
	r.Body = io.NopCloser(body)
	w := &forgetful{header: http.Header{}}
	return func() int {
		body.Reset(text)
		clear(w.header)
		h.ServeHTTP(w, r)
		return w.code
	}
}

// forgetful is an answer that is counted and not kept.
type forgetful struct {
	header http.Header
	code   int
}

func (f *forgetful) Header() http.Header         { return f.header }
func (f *forgetful) Write(p []byte) (int, error) { return len(p), nil }
func (f *forgetful) WriteHeader(code int)        { f.code = code }
