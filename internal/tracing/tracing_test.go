package tracing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/tracing"
	"receiver/internal/tracing/tracetest"
)

const (
	theirTrace  = "0af7651916cd43dd8448eb211c80319c"
	theirSpan   = "b7ad6b7169203331"
	sampled     = "00-" + theirTrace + "-" + theirSpan + "-01"
	notSampled  = "00-" + theirTrace + "-" + theirSpan + "-00"
	secretValue = "Bearer the-key-of-the-collector"
)

// request has a traceparent, unless it is empty.
func request(t *testing.T, traceparent string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
		r.Header.Set("Tracestate", "vendor="+strings.Repeat("x", 200))
	}
	return r
}

// A trace begins by the share, or by a caller that may decide; a stranger decides nothing.
func TestWhoDecidesWhatIsTraced(t *testing.T) {
	t.Parallel()
	stranger := func(tr *tracing.Tracer, r *http.Request) (context.Context, tracing.Span) { return tr.Stranger(r, "it") }
	caller := func(tr *tracing.Tracer, r *http.Request) (context.Context, tracing.Span) {
		return tr.Caller(r, "it", false)
	}
	always := func(tr *tracing.Tracer, r *http.Request) (context.Context, tracing.Span) {
		return tr.Caller(r, "it", true)
	}
	follow := func(tr *tracing.Tracer, r *http.Request) (context.Context, tracing.Span) {
		return tr.Follow(r.Context(), "it", r.Header.Get("Traceparent"))
	}
	root := func(tr *tracing.Tracer, r *http.Request) (context.Context, tracing.Span) {
		return tr.Root(r.Context(), "it")
	}
	const (
		none = iota
		fresh
		linked
		below
	)
	for _, tt := range []struct {
		name        string
		begin       func(*tracing.Tracer, *http.Request) (context.Context, tracing.Span)
		ratio       float64
		traceparent string
		want        int
	}{
		{"a stranger", stranger, 1, "", fresh},
		{"a stranger's context is no parent", stranger, 1, sampled, linked},
		{"a stranger cannot switch it off", stranger, 1, notSampled, linked},
		{"a stranger cannot force sampling", stranger, 0, sampled, none},
		{"a stranger's nonsense", stranger, 1, "00-zz", fresh},
		{"a stranger's zeros", stranger, 1, "00-" + strings.Repeat("0", 32) + "-" + theirSpan + "-01", fresh},
		{"a stranger's long text", stranger, 1, "cc-" + theirTrace + "-" + theirSpan + "-01-" + strings.Repeat("x", 9000), fresh},
		{"a caller", caller, 1, "", fresh},
		{"a caller's parent", caller, 1, sampled, below},
		{"a caller may have it sampled", caller, 0, sampled, below},
		{"a caller may switch it off", caller, 1, notSampled, none},
		{"a caller without a parent", caller, 0, "", none},
		{"a submission", always, 0.000001, "", fresh},
		{"a submission whose caller does not sample", always, 1, notSampled, none},
		{"a submission while nothing is sampled", always, 0, "", none},
		{"a poll", root, 1, "", fresh},
		{"a poll that is not sampled", root, 0, "", none},
		{"an event that was traced", follow, 0, sampled, below},
		{"an event that was not", follow, 1, "", none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := tracetest.Start(t)
			tr := tracing.New(tracing.Options{Endpoint: c.URL + "/", Ratio: tt.ratio, Service: "orders", Headers: map[string]string{"Authorization": secretValue}, Log: zerolog.Nop()})
			ctx, span := tt.begin(tr, request(t, tt.traceparent))
			_, child := tracing.Child(ctx, "inside")
			child.End(nil)
			span.End(nil)
			tr.Stop()
			got := append(c.Named("it"), c.Named("POST it")...)
			if tt.want == none {
				if len(c.Spans()) != 0 || span.On() || child.On() || span.Traceparent() != "" {
					t.Fatalf("spans = %+v, want none", c.Spans())
				}
				return
			}
			if len(got) != 1 || len(c.Spans()) != 2 || got[0].Service != "orders" || c.Headers().Get("Authorization") != secretValue {
				t.Fatalf("spans = %+v, want two of the service orders", c.Spans())
			}
			s, inside := got[0], c.Named("inside")[0]
			if inside.Trace != s.Trace || inside.Parent != s.ID {
				t.Errorf("inside = %+v, want a child of %+v", inside, s)
			}
			if theirs := s.Trace == theirTrace; theirs != (tt.want == below) || (s.Parent == theirSpan) != (tt.want == below) {
				t.Errorf("trace %s below %q, want theirs: %v", s.Trace, s.Parent, tt.want == below)
			}
			if link := slices.Equal(s.Links, []string{theirTrace + "-" + theirSpan}); link != (tt.want == linked) || len(s.Links) > 1 {
				t.Errorf("links = %v, want theirs: %v", s.Links, tt.want == linked)
			}
		})
	}
}

// A request to others has the name of its span, and no other header.
func TestTransport(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	tr := tracing.New(tracing.Options{Endpoint: c.URL, Ratio: 1, Log: zerolog.Nop()})
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/secret-path?token=1", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer other.Close()
	client := &http.Client{Transport: tracing.Transport(http.DefaultTransport)}
	get := func(ctx context.Context, path string) *http.Request {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, other.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return r
	}
	get(t.Context(), "/")
	if got.Get("Traceparent") != "" {
		t.Errorf("a request outside of a trace has traceparent %q", got.Get("Traceparent"))
	}
	ctx, span := tr.Root(t.Context(), "work")
	sent := get(ctx, "/moved?token=secret-query")
	if sent.Header.Get("Traceparent") != "" {
		t.Error("the caller's request was changed")
	}
	span.End(nil)
	tr.Stop()
	calls := c.Named(http.MethodGet)
	if len(calls) != 2 || got.Get("Traceparent") != calls[1].Traceparent() || calls[0].Kind != "client" || calls[0].Parent != c.Named("work")[0].ID {
		t.Fatalf("calls = %+v, traceparent = %q, want two below the work", calls, got.Get("Traceparent"))
	}
	if calls[0].Attributes["url.path"] != "/moved" || !calls[1].Failed || calls[1].Attributes["http.response.status_code"] != "418" {
		t.Errorf("calls = %+v, want /moved and a 418", calls)
	}
	if text := fmt.Sprint(c.Spans()); strings.Contains(text, "secret-") {
		t.Errorf("the spans contain a secret: %s", text)
	}
}

// Values are cut, and texts of errors are left out.
func TestSpansAreBounded(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	tr := tracing.New(tracing.Options{Endpoint: c.URL, Ratio: 1, Log: zerolog.Nop()})
	_, span := tr.Root(t.Context(), "work")
	for i := range 1000 {
		span.Text(fmt.Sprint("key-", i), strings.Repeat("x", 10_000))
		span.Link(sampled, "again")
	}
	span.End(fmt.Errorf("it said %q", "secret-word"))
	tr.Stop()
	s := c.Spans()[0]
	size := 0
	for _, v := range s.Attributes {
		size = max(size, len(v))
	}
	if len(s.Attributes) > 32 || size > 256 || len(s.Links) > 4 || !s.Failed || strings.Contains(fmt.Sprint(s), "secret-word") {
		t.Errorf("%d attributes of %d bytes, %d links, failed: %v; want at most 32, 256, 4, and failed", len(s.Attributes), size, len(s.Links), s.Failed)
	}
}

// Without an endpoint, and for what is not sampled, nothing is allocated.
func TestOffCostsNothing(t *testing.T) {
	c := tracetest.Start(t)
	unsampled := tracing.New(tracing.Options{Endpoint: c.URL, Ratio: 0, Log: zerolog.Nop()})
	defer unsampled.Stop()
	for name, tr := range map[string]*tracing.Tracer{"off": tracing.New(tracing.Options{Ratio: 1}), "not sampled": unsampled} {
		r := request(t, sampled)
		err := fmt.Errorf("an error")
		if got := testing.AllocsPerRun(100, func() {
			ctx, span := tr.Stranger(r, "it")
			ctx = tracing.Carry(ctx, r.Context())
			ctx, child := tracing.Child(ctx, "verify")
			_, sent := tracing.Produce(ctx, "publish")
			sent.Number("n", 1)
			child.Text("k", "v")
			child.End(err)
			_, _ = tr.Root(ctx, "poll")
			span.Answered(200, 500)
			span.End(nil)
		}); got != 0 {
			t.Errorf("%s: %v allocations, want none", name, got)
		}
	}
	var off *tracing.Tracer
	if off.Stop(); off.Dropped() != 0 {
		t.Error("a tracer that is off has dropped spans")
	}
}

// Nothing waits for a collector that fails: spans end at once, and Stop in its time. The spans that
// are not taken are counted, and one line says so, without a secret.
func TestTheCollectorDelaysNothing(t *testing.T) {
	t.Parallel()
	const spans = 10_000
	closed := httptest.NewServer(nil)
	closed.Close()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	const soon = tracing.StopTime / 2 // a batch is not sent again during the stop
	for _, tt := range []struct {
		name, url, reason string
		stops             time.Duration
	}{
		{"away", closed.URL, "cannot be reached", soon},
		{"hangs", hangs.URL, "", tracing.StopTime + time.Second},
		{"refuses", answers(t, http.StatusUnauthorized), "answered 401", soon},
		{"is overloaded", answers(t, http.StatusServiceUnavailable), "answered 503", soon},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			tr := tracing.New(tracing.Options{Endpoint: tt.url, Ratio: 1, Headers: map[string]string{"Authorization": secretValue}, Log: zerolog.New(&log)})
			begin := time.Now()
			for range spans {
				_, span := tr.Root(t.Context(), "work")
				span.End(nil)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("%d spans took %v", spans, took)
			}
			begin = time.Now()
			tr.Stop()
			tr.Stop() // changes nothing
			if took := time.Since(begin); took > tt.stops {
				t.Errorf("Stop took %v, want at most %v", took, tt.stops)
			}
			if got := tr.Dropped(); got != spans {
				t.Errorf("Dropped() = %d, want %d", got, spans)
			}
			told := 0
			for line := range strings.Lines(log.String()) {
				var l struct {
					Level, Message, Reason string
					Spans                  int
				}
				if err := json.Unmarshal([]byte(line), &l); err != nil || l.Level != "warn" || !strings.HasPrefix(l.Message, "spans could not be sent") {
					t.Errorf("log line %s: %v", line, err)
				}
				told += l.Spans
			}
			if lines := strings.Count(log.String(), "\n"); told != spans || lines > 2 || !strings.Contains(log.String(), tt.reason) {
				t.Errorf("%d lines tell of %d spans, want at most 2 of %d, with %q:\n%s", lines, told, spans, tt.reason, log.String())
			}
			if strings.Contains(log.String(), "the-key-of") {
				t.Errorf("the log has a secret: %s", log.String())
			}
		})
	}
}

// answers returns the address of a collector that repeats the headers in its answer.
func answers(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, r.Header)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// A flood of strangers is traced at a rate, whatever the share.
func TestAFloodIsTracedAtARate(t *testing.T) {
	t.Parallel()
	tr := tracing.New(tracing.Options{Endpoint: tracetest.Start(t).URL, Ratio: 1, Log: zerolog.Nop()})
	defer tr.Stop()
	begin, traced := time.Now(), 0
	for range 20_000 {
		_, span := tr.Stranger(request(t, sampled), "/callbacks/:source")
		if span.On() {
			traced++
		}
		span.End(nil)
	}
	if most := 500 * (2 + int(time.Since(begin).Seconds())); traced < 500 || traced > most {
		t.Errorf("%d of 20000 requests in %v are traced, want 500 to %d", traced, time.Since(begin), most)
	}
}

// A batch is sent again while the collector says that it is overloaded, and none twice.
func TestABatchIsSentAgain(t *testing.T) {
	t.Parallel()
	c := tracetest.Start(t)
	var tries atomic.Int32
	taken := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		c.ServeHTTP(w, r)
		close(taken)
	}))
	defer s.Close()
	tr := tracing.New(tracing.Options{Endpoint: s.URL, Ratio: 1, Log: zerolog.Nop()})
	_, span := tr.Root(t.Context(), "work")
	span.End(nil)
	<-taken
	tr.Stop()
	if len(c.Spans()) != 1 || tries.Load() != 2 || tr.Dropped() != 0 {
		t.Errorf("%d spans after %d tries, %d dropped; want 1, 2, 0", len(c.Spans()), tries.Load(), tr.Dropped())
	}
}
