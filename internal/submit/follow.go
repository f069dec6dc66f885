package submit

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"receiver/internal/job"
)

// Following is a job to be followed to its end.
type Following struct {
	ID string
	// Every is the time between polls of the platform; 0 means PollEvery.
	Every time.Duration
	// Listen waits for the job's finished event, and returns false if it cannot; then it is called
	// again after the next poll that found no end: a receiver may start meanwhile.
	Listen func(ctx context.Context) (job.Stored, bool)
	// Unreadable is called when a finished event does not tell how the job ended.
	Unreadable func()
	// Failed is called with the error of a poll, which is repeated.
	Failed func(error)
}

// End is how a job ended.
type End struct {
	Job job.View
	// Event is the finished event; nil if the platform was first to tell.
	Event *job.Stored
	// Called is true if there was a finished event, readable or not.
	Called bool
}

// PollEvery is how often the platform is polled about a job that is waited for.
const PollEvery = 5 * time.Second

// mostOthers is how often in a row the platform may answer about another job. More of it is an
// error.
const mostOthers = 3

// Follow waits for the finished event of a job and, as a second way, polls the platform: a lost
// callback must not make it wait for ever. Its error is ErrOtherJob or the cause of ctx's end.
func (c *Client) Follow(ctx context.Context, f Following) (end End, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan job.Stored, 1)
	var listening sync.Mutex
	tick := time.NewTicker(cmp.Or(f.Every, PollEvery))
	defer tick.Stop()
	for others := 0; ; {
		if !end.Called && listening.TryLock() {
			go func() {
				defer listening.Unlock()
				if e, there := f.Listen(ctx); there {
					select {
					case events <- e:
					default: // told before
					}
				}
			}()
		}
		select {
		case e := <-events:
			end.Called = true
			if e.Job.Result == job.Undecided {
				f.Unreadable()
				continue
			}
			end.Job, end.Event = e.Job, &e
			return end, nil
		case <-tick.C:
			status, err := c.Status(ctx, f.ID)
			if err == nil {
				end.Job, err = job.ReadAnswer(f.ID, status.Raw)
			}
			if others++; !errors.Is(err, ErrOtherJob) {
				others = 0
			}
			switch {
			case others == mostOthers:
				return end, err
			case err != nil:
				f.Failed(err)
			case end.Job.Over():
				return end, nil
			}
		case <-ctx.Done():
			return end, context.Cause(ctx)
		}
	}
}
