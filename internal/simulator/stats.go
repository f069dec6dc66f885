package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Stats counts what happened so far. A platform is quiet when Finished == Jobs and Open == 0.
type Stats struct {
	Requests  int // API requests that arrived, refused ones included
	Jobs      int // jobs made
	Finished  int // jobs that reached their end
	Attempts  int // callback requests sent, whatever became of them
	Open      int // callbacks due, late or being retried
	Delivered int // callbacks answered 2xx
	Queued    int // callbacks given up until released
}

// Delivery is one callback request as it was sent.
type Delivery struct {
	ID        string // of the callback; the same for all its attempts
	Job       string // job id
	Attempt   int    // 1 for the first; goes on counting after a release
	URL       string // as given at submission
	Body      []byte // as sent; not to be changed
	Signature string // Elements-Webhook-Signature as sent, "" when there was none
	WebhookID string // Elements-Webhook-Id as sent
	Code      int    // answered status code, 0 when there was no answer
	Err       error  // why there was no answer, nil when there was one
	At        time.Time
}

// Job is the truth about one job, for comparison with what a receiver made of it.
type Job struct {
	ID, Object, Direction string // Direction is UPLOAD or DOWNLOAD
	Status                string // as GET status says it now
	Done                  bool   // Status will not change any more
	Records, Failed       int    // all rows, and those of them that failed
	CallbackURL           string
	Payload               json.RawMessage // callback-payload, nil when none was given
	Faults                Faults          // in force for this job
	Created, Finished     time.Time       // Finished is zero until Done
}

// Deliveries lists every callback request sent, in the order in which they ended.
func (p *Platform) Deliveries() []Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// Jobs lists every job in the order of creation.
func (p *Platform) Jobs() []Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	jobs := make([]Job, len(p.order))
	for i, j := range p.order {
		jobs[i] = Job{ID: j.id, Object: j.object, Direction: j.direction, Status: j.status, Done: j.done(),
			Records: j.rows.records, Failed: j.rows.failed, CallbackURL: j.callback, Payload: j.payload,
			Faults: j.faults, Created: j.created, Finished: j.finished}
	}
	return jobs
}

// Wait returns nil as soon as done says so of the counts, and an error that shows the last counts
// when ctx ends first. done is called again after every change and must not call the platform.
func (p *Platform) Wait(ctx context.Context, done func(Stats) bool) error {
	for {
		p.mu.Lock()
		s, changed := p.stats, p.changed
		p.mu.Unlock()
		if done(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting on the simulated platform at %+v: %w", s, ctx.Err())
		}
	}
}

// count changes the counts and wakes all waiters. The caller holds p.mu.
func (p *Platform) count(change func(*Stats)) {
	change(&p.stats)
	close(p.changed)
	p.changed = make(chan struct{})
}
