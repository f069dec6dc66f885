package publish

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// ActionsStream holds what was done to the installation. It has no limits: what strangers
// send, which fills ATTEMPTS, must not push out what operators did.
const ActionsStream = "ACTIONS"

// Act records an action, acknowledged, and returns its sequence. Call it before doing what
// it tells, and leave that undone on an error: what is not recorded did not happen. Where the
// stream has no leader yet, as on a cluster that began a moment ago, it is waited for.
func (b *Bus) Act(ctx context.Context, a job.Action) (uint64, error) {
	data, err := a.Data()
	if err != nil {
		return 0, err
	}
	ack, err := patiently(ctx, b.opts, func(ctx context.Context) (*jetstream.PubAck, error) {
		return b.publish(ctx, &message{subject: a.Subject(), data: data})
	})
	if err != nil {
		return 0, fmt.Errorf("recording the action %s: %w", a.What, err)
	}
	return ack.Sequence, nil
}
