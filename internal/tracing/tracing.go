// Package tracing makes the spans of OpenTelemetry and sends them to a collector. It is the only
// package that imports OpenTelemetry. Use a Tracer where a trace begins, and Child below that.
//
// Tracing is off unless an endpoint is configured; then nothing is allocated. A span exists only if
// its trace is sampled, so all others cost a comparison. Spans never contain bodies, secrets or the
// texts of errors. A collector that is slow or away delays nothing: spans wait in a bounded queue,
// and what does not fit is counted and dropped.
package tracing

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

const (
	// scope is the name of the instrumentation.
	scope = "receiver"
	// maxText bounds a value of a span.
	maxText = 256
	// maxQueue is how many ended spans may wait for the collector, maxBatch how many of them are
	// sent at once, and batchTime how long one waits for others.
	maxQueue, maxBatch, batchTime = 2048, 512, 2 * time.Second
	// maxContext bounds a traceparent that is read: the known version has 55 bytes.
	maxContext = 128
	// maxStrangers is how many requests of strangers are traced in a second: a flood must not
	// pass through to the collector.
	maxStrangers = 500
)

// StopTime is how long Stop takes at most.
const StopTime = 3 * time.Second

// Options say where spans go. The environment variables of OpenTelemetry do not turn tracing on.
type Options struct {
	// Endpoint is the address of a collector for OTLP over HTTP, without /v1/traces. Empty means
	// that nothing is traced.
	Endpoint string
	// Headers are sent with every request, for a collector that wants a key.
	Headers map[string]string
	// Authorities are PEM certificates that are trusted instead of the system's; empty means the
	// system's.
	Authorities []byte
	// Ratio is the share of callbacks, polls and other requests that begin a trace, from 0 to 1.
	Ratio float64
	// Service and Version name this program in the traces.
	Service, Version string
	// Log gets a line a minute, at most, while spans are lost.
	Log zerolog.Logger
}

// Tracer begins traces. Nil is a Tracer that is off. It is safe for concurrent use.
type Tracer struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
	exporter *exporter
	ratio    float64
	strange  *rate.Limiter
	stop     sync.Once
}

// New returns a tracer, which must be stopped; nil if there is no endpoint.
func New(o Options) *Tracer {
	if o.Endpoint == "" {
		return nil
	}
	x := &exporter{client: newClient(o), log: o.Log, done: make(chan struct{})}
	x.to = otlptrace.NewUnstarted(x.client)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // sampled decides, before a span is made
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
			AttributeValueLengthLimit: maxText, AttributeCountLimit: 32, LinkCountLimit: 4,
			EventCountLimit: 4, AttributePerEventCountLimit: 4, AttributePerLinkCountLimit: 4,
		}),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", o.Service), attribute.String("service.version", o.Version),
		)),
		sdktrace.WithSpanProcessor(counted{x, sdktrace.NewBatchSpanProcessor(x,
			sdktrace.WithMaxQueueSize(maxQueue), sdktrace.WithMaxExportBatchSize(maxBatch),
			sdktrace.WithBatchTimeout(batchTime), sdktrace.WithExportTimeout(0), // the client has its own
		)}),
	)
	return &Tracer{
		tracer: provider.Tracer(scope), provider: provider, exporter: x, ratio: o.Ratio, strange: rate.NewLimiter(maxStrangers, maxStrangers),
	}
}

// Stop sends the spans that wait, for StopTime at most, and drops the others.
func (t *Tracer) Stop() {
	if t != nil {
		t.stop.Do(t.shutdown)
	}
}

func (t *Tracer) shutdown() {
	const rest = StopTime / 10
	ctx, cancel := context.WithTimeout(context.Background(), StopTime-rest)
	defer cancel()
	close(t.exporter.client.stopping)
	_ = t.provider.Shutdown(ctx)
	t.exporter.client.cancel() // else a request under way would go on
	select {
	case <-t.exporter.done:
	case <-time.After(rest):
	}
	t.exporter.report(0, "")
}

// Dropped returns how many spans were not delivered.
func (t *Tracer) Dropped() uint64 {
	if t == nil {
		return 0
	}
	return t.exporter.dropped.Load()
}

// sampled reports whether a trace begins here.
func (t *Tracer) sampled() bool {
	return t != nil && rand.Float64() < t.ratio //nolint:gosec // a share of all, not a secret
}

// Root begins a trace of work that nobody asked for, if it is sampled.
func (t *Tracer) Root(ctx context.Context, name string) (context.Context, Span) {
	if !t.sampled() {
		return ctx, Span{}
	}
	return start(ctx, t.tracer, name, trace.WithNewRoot())
}

// Stranger begins a trace of a request that nothing is known about, if it is sampled; at most 500
// in a second. The context that it claims decides nothing: it becomes a link.
func (t *Tracer) Stranger(r *http.Request, route string) (context.Context, Span) {
	ctx := r.Context()
	if !t.sampled() || !t.strange.Allow() {
		return ctx, Span{}
	}
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer)}
	if claimed := remote(propagation.MapCarrier{parentHeader: r.Header.Get(parentHeader)}); claimed.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: claimed}))
	}
	return t.serve(ctx, r, route, options)
}

// Caller makes a span of a request by a caller that may be trusted: it continues the caller's
// trace, or begins one if that is sampled. Always samples every request without a trace, unless
// the ratio is 0.
func (t *Tracer) Caller(r *http.Request, route string, always bool) (context.Context, Span) {
	ctx := r.Context()
	if t == nil {
		return ctx, Span{}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	parent := remote(propagation.HeaderCarrier(r.Header))
	switch {
	case parent.IsSampled():
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	case parent.IsValid(), !(always && t.ratio > 0) && !t.sampled():
		return ctx, Span{}
	default:
		options = append(options, trace.WithNewRoot())
	}
	return t.serve(ctx, r, route, options)
}

// serve begins the span of a request that is answered.
func (t *Tracer) serve(ctx context.Context, r *http.Request, route string, options []trace.SpanStartOption) (context.Context, Span) {
	ctx, span := start(ctx, t.tracer, r.Method+" "+route, options...)
	span.Text("http.request.method", r.Method)
	span.Text("http.route", route)
	return ctx, span
}

// Follow makes a span of what is done with an event, given its Traceparent: nothing of an event
// without one.
func (t *Tracer) Follow(ctx context.Context, name, traceparent string) (context.Context, Span) {
	if t == nil || traceparent == "" {
		return ctx, Span{}
	}
	parent := remote(propagation.MapCarrier{parentHeader: traceparent})
	if !parent.IsSampled() {
		return ctx, Span{}
	}
	return start(trace.ContextWithRemoteSpanContext(ctx, parent), t.tracer, name, trace.WithSpanKind(trace.SpanKindConsumer))
}

func start(ctx context.Context, t trace.Tracer, name string, options ...trace.SpanStartOption) (context.Context, Span) {
	ctx, span := t.Start(ctx, name, options...)
	return ctx, Span{span}
}
