package publish

import "context"

// PublishRaw stores bytes as they are if nothing is on the subject, which must be one of
// JOBS, on the way and under the settings of an event; its error is that of JetStream, or
// ErrUnavailable. Nothing that reads events takes such a message for one: it is what a
// benchmark measures events against.
func (b *Bus) PublishRaw(ctx context.Context, subject string, data []byte) error {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	_, err := b.events.publish(ctx, &message{subject: subject, data: data})
	return err
}
