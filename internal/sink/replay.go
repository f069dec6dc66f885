package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"receiver/internal/job"
)

// Report is the state of one sink.
type Report struct {
	Name string `json:"name"`
	job.Backlog
	// Open is what was not accepted: first what is posted again, then what was given up.
	Open []job.Delivery `json:"open"`
}

// State is what Describe needs of the store; publish.Store is one.
type State interface {
	Records
	Backlog(ctx context.Context, sink string) (job.Backlog, error)
}

// Describe returns the state of a sink.
func Describe(ctx context.Context, store State, sink string) (r Report, err error) {
	r.Name = sink
	if r.Backlog, err = store.Backlog(ctx, sink); err == nil {
		r.Open, err = Open(ctx, store, sink, "")
	}
	return r, err
}

// ErrNothing means that there is nothing to replay.
var ErrNothing = errors.New("no event is given up or retried")

// Open returns what a sink did not accept, of one job or, if of is empty, of all: first what is
// posted again, then what was given up.
func Open(ctx context.Context, store Records, sink, of string) ([]job.Delivery, error) {
	all := []job.Delivery{}
	subjects := []string{job.SinkPattern(sink, false, ">"), job.SinkPattern(sink, true, ">")}
	if of != "" {
		subjects = []string{job.SinkPattern(sink, false, of), job.SinkPattern(sink, true, of) + ".*"}
	}
	for _, subject := range subjects {
		found, err := List(ctx, store, subject, 0)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// List returns the deliveries on a subject, which may hold wildcards, each once and as it is now;
// if most is positive, that many at most.
func List(ctx context.Context, store Records, subject string, most int) (all []job.Delivery, err error) {
	at := map[string]int{} // by subject: a record may come again
	for d, err := range store.Deliveries(ctx, subject, 0) {
		if err != nil {
			return nil, err
		}
		i, again := at[d.Subject()]
		switch {
		case again:
			all[i] = d
		case most > 0 && len(all) == most:
			return all, nil
		default:
			at[d.Subject()] = len(all)
			all = append(all, d)
		}
	}
	return all, nil
}

// Replay has what Open returned posted again at once, by the process that posts to the sink: each
// event as often as a new one. If an event of a job was accepted after one that is replayed, it
// may be posted again too, in the order of the stream.
func Replay(ctx context.Context, store Records, open []job.Delivery) error {
	if len(open) == 0 {
		return ErrNothing
	}
	for _, d := range open {
		if err := replay(ctx, store, d); err != nil {
			return err
		}
	}
	return nil
}

// replayTries is how often a record is replaced that the process that posts replaces at the same
// time.
const replayTries = 20

func replay(ctx context.Context, store Records, d job.Delivery) error {
	want := job.Delivery{Sink: d.Sink, Job: d.Job, Next: d.Next, Last: d.Last, Since: time.Now()}
	for range replayTries {
		now := want
		for there, err := range store.Deliveries(ctx, want.Subject(), 0) {
			if err != nil {
				return err
			}
			now.Sequence, now.Last = there.Sequence, max(want.Last, there.Last)
			if now.Next = there.Next; d.GivenUp {
				now.Next = min(want.Next, there.Next)
			}
		}
		if now.Sequence == 0 && !d.GivenUp {
			return nil // it was accepted, or given up, in the meantime
		}
		_, stored, err := store.PutDelivery(ctx, now)
		if err == nil && stored && d.GivenUp {
			_, err = store.RemoveDelivery(ctx, d)
		}
		if err != nil || stored {
			return err
		}
	}
	return fmt.Errorf("replaying job %s: its record changed %d times meanwhile; try again", d.Job, replayTries)
}
