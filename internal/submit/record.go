package submit

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"receiver/internal/job"
)

// HandOver uploads a file, with the address that address returns for the new submission, and
// returns the submitted event of the job.
func (c *Client) HandOver(ctx context.Context, source string, u Upload, address func(submission string) (string, error)) (_ job.Event, err error) {
	id := rand.Text()
	if u.CallbackURL, err = address(id); err != nil {
		return job.Event{}, err
	}
	s := Submission{
		ID: id, Source: source, Object: u.Object, Direction: "UPLOAD", File: u.FileName, Bytes: max(u.Size, 0),
		Metadata: u.Metadata, Payload: u.CallbackPayload, Submitted: time.Now().UTC(),
	}
	created, err := c.Upload(ctx, u)
	if err != nil {
		return job.Event{}, err
	}
	return s.Event(created)
}

// recordTimeout is how long a store that is away is tried again for a job that the platform has
// taken.
const recordTimeout = time.Minute

// Record publishes the submitted event of a job that the platform has taken, and tries again for
// a while if the error is away: the store is not available. The end of ctx breaks off the
// waiting, and no attempt.
func Record(ctx context.Context, publish func(context.Context, job.Event) (job.Stored, error), away error, e job.Event) (job.Stored, error) {
	late := time.NewTimer(recordTimeout)
	defer late.Stop()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		stored, err := publish(context.WithoutCancel(ctx), e)
		if !errors.Is(err, away) {
			return stored, err
		}
		select {
		case <-time.After(pause):
		case <-late.C:
			return stored, err
		case <-ctx.Done():
			return stored, err
		}
	}
}
