package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// parentHeader is the header of W3C Trace Context that names a span.
const parentHeader = "traceparent"

// Span is a step of a trace. The zero Span is that of a trace which is not sampled: its methods do
// nothing.
type Span struct{ span trace.Span }

// Of returns the span that ctx belongs to.
func Of(ctx context.Context) Span {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return Span{span}
	}
	return Span{}
}

// Child begins a span below that of ctx, if there is one.
func Child(ctx context.Context, name string) (context.Context, Span) { return child(ctx, name) }

// Produce is Child for what is sent to a stream.
func Produce(ctx context.Context, name string) (context.Context, Span) {
	if !Of(ctx).On() {
		return ctx, Span{}
	}
	return child(ctx, name, trace.WithSpanKind(trace.SpanKindProducer))
}

func child(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, Span) {
	parent := Of(ctx)
	if !parent.On() {
		return ctx, Span{}
	}
	return start(ctx, parent.span.TracerProvider().Tracer(scope), name, options...)
}

// Carry returns ctx with the span of another context.
func Carry(ctx, from context.Context) context.Context {
	if span := Of(from); span.On() {
		return trace.ContextWithSpan(ctx, span.span)
	}
	return ctx
}

// On reports whether the span is recorded.
func (s Span) On() bool { return s.span != nil }

// Text adds a text, cut to 256 bytes, unless it is empty. It must be neither secret nor a body.
func (s Span) Text(key, value string) {
	if s.On() && value != "" {
		s.span.SetAttributes(attribute.String(key, value[:min(len(value), maxText)]))
	}
}

// Number adds a number.
func (s Span) Number(key string, value int64) {
	if s.On() {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// Flag adds a truth value.
func (s Span) Flag(key string, value bool) {
	if s.On() {
		s.span.SetAttributes(attribute.Bool(key, value))
	}
}

// Answered adds the status of an HTTP answer; from wrong on it is an error.
func (s Span) Answered(status, wrong int) {
	s.Number("http.response.status_code", int64(status))
	if s.On() && status >= wrong {
		s.span.SetStatus(codes.Error, "")
	}
}

// Link links the span with the one that a traceparent names, and says how they belong together.
func (s Span) Link(traceparent, relation string) {
	if !s.On() || traceparent == "" {
		return
	}
	if to := remote(propagation.MapCarrier{parentHeader: traceparent}); to.IsValid() {
		s.span.AddLink(trace.Link{SpanContext: to, Attributes: []attribute.KeyValue{attribute.String("receiver.relation", relation)}})
	}
}

// Traceparent returns the name of the span in the form of W3C Trace Context; empty if it is off.
func (s Span) Traceparent() string {
	if !s.On() {
		return ""
	}
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), s.span), c)
	return c[parentHeader]
}

// End ends the span. The text of an error may repeat what came from outside, so it is left out.
func (s Span) End(err error) {
	if !s.On() {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// remote returns the span that headers name; one that is not valid if they name none.
func remote(c propagation.TextMapCarrier) trace.SpanContext {
	if value := c.Get(parentHeader); value == "" || len(value) > maxContext {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), c))
}

// Transport makes a span of each request whose context belongs to one, and sends its name in the
// headers of W3C Trace Context. Other requests are passed on as they are.
func Transport(next http.RoundTripper) http.RoundTripper { return transport{next} }

type transport struct{ next http.RoundTripper }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !Of(r.Context()).On() {
		return t.next.RoundTrip(r)
	}
	ctx, span := child(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient))
	redirected := r.Response != nil
	r = r.Clone(ctx)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	span.Text("http.request.method", r.Method)
	span.Text("server.address", r.URL.Hostname())
	if !redirected { // where a redirect leads, the path may be a secret
		span.Text("url.path", r.URL.Path)
	}
	answer, err := t.next.RoundTrip(r)
	if err == nil {
		span.Answered(answer.StatusCode, http.StatusBadRequest)
	}
	span.End(err)
	return answer, err
}

// CloseIdleConnections is there for http.Client.
func (t transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
