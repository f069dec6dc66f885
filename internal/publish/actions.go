package publish

import (
	"context"
	"fmt"

	"receiver/internal/job"
)

// ActionsStream holds what was done to the installation. It has no limits: what strangers
// send, which fills ATTEMPTS, must not push out what operators did.
const ActionsStream = "ACTIONS"

// Act records an action, acknowledged, and returns its sequence. Call it before doing what
// it tells, and leave that undone on an error: what is not recorded did not happen.
func (b *Bus) Act(ctx context.Context, a job.Action) (uint64, error) {
	data, err := a.Data()
	if err != nil {
		return 0, err
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	ack, err := b.publish(ctx, &message{subject: a.Subject(), data: data})
	if err != nil {
		return 0, fmt.Errorf("recording the action %s: %w", a.What, err)
	}
	return ack.Sequence, nil
}
