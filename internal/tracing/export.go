package tracing

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// sendTime bounds the sending of one batch with its retries, and retryPause is the first pause
	// between them.
	sendTime, retryPause = 10 * time.Second, 500 * time.Millisecond
	// reportTime is the time between two lines about lost spans.
	reportTime = time.Minute
	// tracesPath is added to the endpoint, unless it is there.
	tracesPath = "/v1/traces"
	// maxAnswer is how much of an answer is read, so that its connection can be used again.
	maxAnswer = 64 << 10
)

// client sends spans by OTLP over HTTP, in protobuf. The exporter of OpenTelemetry for it imports
// gRPC, which is six times as large as all that is needed here.
type client struct {
	http     *http.Client
	url      string
	headers  map[string]string
	stopping chan struct{}   // closed when the tracer begins to stop
	ctx      context.Context //nolint:containedctx // done when the tracer has no more time to stop
	cancel   context.CancelFunc
}

func newClient(o Options) *client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if len(o.Authorities) > 0 {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(o.Authorities)
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	c := &client{url: strings.TrimSuffix(strings.TrimSuffix(o.Endpoint, "/"), tracesPath) + tracesPath, headers: o.Headers, stopping: make(chan struct{})}
	c.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Start and Stop are there for otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// failure is why a batch was not taken. It repeats nothing that the collector says, which may
// repeat the headers.
type failure struct {
	text  string
	final bool // sending it again does not help
}

func (f failure) Error() string { return f.text }

// UploadTraces sends a batch, and again while the collector is away or asks for it. When the tracer
// stops, it is sent once.
//
// OTLP 1.10, "OTLP/HTTP Request" and "Failures".
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData has the form of ExportTraceServiceRequest, whose package imports gRPC.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return failure{"the spans cannot be encoded", true}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	for pause := retryPause; ; pause *= 2 {
		failed := c.post(ctx, body)
		switch {
		case failed == nil:
			return nil
		case failed.final:
			return *failed
		}
		select {
		case <-ctx.Done():
			return *failed
		case <-c.stopping:
			return *failed
		case <-time.After(pause):
		}
	}
}

// post sends a batch once, and returns nil if it was taken.
func (c *client) post(ctx context.Context, body []byte) *failure {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return &failure{"the endpoint is not an address", true}
	}
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return &failure{"no answer in time", true}
		}
		return &failure{"cannot be reached", false}
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	text := fmt.Sprintf("answered %d", answer.StatusCode)
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &failure{text, false}
	}
	return &failure{text, true}
}

// exporter counts the spans that wait, and those that are lost.
type exporter struct {
	client  *client
	to      sdktrace.SpanExporter
	log     zerolog.Logger
	waiting atomic.Int64
	dropped atomic.Uint64
	done    chan struct{} // closed once nothing waits any more

	mu   sync.Mutex
	last time.Time // of the last line
	told uint64    // how many lost spans it told of
}

// ExportSpans is there for sdktrace.SpanExporter. It returns no error: OpenTelemetry would write it
// to standard error.
func (x *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	defer x.waiting.Add(-int64(len(spans)))
	if err := x.to.ExportSpans(ctx, spans); err != nil {
		x.dropped.Add(uint64(len(spans)))
		why := failure{text: "the spans cannot be sent"}
		errors.As(err, &why)
		x.report(reportTime, why.text)
	}
	return nil
}

// Shutdown is called once nothing waits any more.
func (x *exporter) Shutdown(ctx context.Context) error {
	defer close(x.done)
	return x.to.Shutdown(ctx)
}

// report logs how many spans are lost since the last line, if that is longer ago than pause.
func (x *exporter) report(pause time.Duration, why string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	lost := x.dropped.Load()
	if lost == x.told || time.Since(x.last) < pause {
		return
	}
	x.log.Warn().Uint64("spans", lost-x.told).Str("reason", cmp.Or(why, "too many at once")).
		Msg("spans could not be sent to tracing.endpoint and are dropped; check the collector")
	x.last, x.told = time.Now(), lost
}

// counted drops, and counts, the spans for which the queue behind it has no room.
type counted struct {
	x *exporter
	sdktrace.SpanProcessor
}

// OnEnd never waits.
func (c counted) OnEnd(s sdktrace.ReadOnlySpan) {
	if c.x.waiting.Add(1) > maxQueue {
		c.x.waiting.Add(-1)
		c.x.dropped.Add(1)
		return
	}
	c.SpanProcessor.OnEnd(s)
}
