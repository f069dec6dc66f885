package submit

import (
	"context"
	"time"

	"receiver/internal/job"
)

// Owned is a job at the platform whose callback address is one of ours, with what the address
// tells of its submission: ID, Source and Object.
type Owned struct {
	Status     Status
	Submission Submission
}

// Owned returns those of the platform's jobs whose callback address read knows. For where see
// Jobs.
func (c *Client) Owned(ctx context.Context, where string, read func(address string) (Submission, bool)) ([]Owned, error) {
	var all []Owned
	for status, err := range c.Jobs(ctx, where) {
		if err != nil {
			return nil, err
		}
		if s, ours := read(status.NotificationURL); ours {
			all = append(all, Owned{status, s})
		}
	}
	return all, nil
}

// Event is the submitted event of a job whose upload's answer was lost.
func (o Owned) Event() (job.Event, error) {
	s := o.Submission
	s.Direction, s.Submitted = o.Status.Direction, o.Status.Created
	if s.Submitted.IsZero() {
		s.Submitted = time.Now()
	}
	s.Submitted = s.Submitted.UTC()
	return s.Event(Created{ID: o.Status.ID, Status: o.Status.Status, InstanceID: o.Status.InstanceID})
}

// Ledger is where events are stored.
type Ledger interface {
	// Has reports whether there is an event of that kind for a job.
	Has(ctx context.Context, source, id string, k job.Kind) (bool, error)
	// Publish stores an event.
	Publish(ctx context.Context, e job.Event) (job.Stored, error)
}

// Found is what became of a job that was to be adopted.
type Found struct {
	Job        string `json:"job"`
	Object     string `json:"object"`
	Status     string `json:"status"`
	Submission string `json:"submission"`
	// Known is true if its submitted event was there, Adopted if it is there now.
	Known   bool `json:"known"`
	Adopted bool `json:"adopted"`
}

// Adopt stores the submitted event of each job that has none; with dryRun it stores nothing.
// With an error it returns what was found until then.
func Adopt(ctx context.Context, to Ledger, jobs []Owned, dryRun bool) ([]Found, error) {
	var all []Found
	for _, o := range jobs {
		f := Found{Job: o.Status.ID, Object: o.Submission.Object, Status: o.Status.Status, Submission: o.Submission.ID}
		var err error
		if f.Known, err = to.Has(ctx, o.Submission.Source, f.Job, job.Submitted); err != nil {
			return all, err
		}
		if !f.Known && !dryRun {
			event, err := o.Event()
			if err != nil {
				return all, err
			}
			if _, err := to.Publish(ctx, event); err != nil {
				return all, err
			}
			f.Adopted = true
		}
		all = append(all, f)
	}
	return all, nil
}
