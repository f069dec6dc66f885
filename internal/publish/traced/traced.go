// Package traced makes the spans of events that are published. It stores nothing itself.
package traced

import (
	"context"
	"time"

	"receiver/internal/job"
	"receiver/internal/tracing"
)

// linkTime bounds the question for the submitted event: a callback that is traced waits for it.
const linkTime = 250 * time.Millisecond

// Publish publishes an event in a span of its own, whose name the event has in job.HeaderTrace.
// Once the end of a job is stored, the span of ctx is linked with that of the job's submission,
// which last looks up: it returns the event on a subject, if there is one. Publish does what the
// function of that name does.
func Publish(
	ctx context.Context, e job.Event, publish func(context.Context, job.Event) (job.Stored, error), last func(ctx context.Context, subject string) job.Stored,
) (job.Stored, error) {
	whole := tracing.Of(ctx)
	ctx, span := tracing.Produce(ctx, "publish "+string(e.Kind))
	e.Trace = span.Traceparent()
	stored, err := publish(ctx, e)
	span.Text("messaging.system", "nats")
	span.Text("messaging.operation.type", "send")
	span.Text("messaging.destination.name", e.Subject())
	if err == nil {
		span.Number("receiver.sequence", int64(stored.Sequence))
		span.Flag("receiver.existed", stored.Existed)
	}
	span.End(err)
	if err == nil && !stored.Existed && (e.Kind == job.Finished || e.Kind == job.Conflict) {
		ctx, cancel := context.WithTimeout(ctx, linkTime)
		defer cancel()
		whole.Link(last(ctx, job.Subject(e.Source, e.Job.ID, job.Submitted)).Trace, "submission")
	}
	return stored, err
}
