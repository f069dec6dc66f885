package joblist_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
)

// changing is JOBS whose messages are removed, but for those of the second reading.
type changing struct {
	readings int
	removed  chan struct{}
}

func (c *changing) Briefs(ctx context.Context, from uint64, follow bool) iter.Seq2[[]job.Brief, error] {
	return func(yield func([]job.Brief, error) bool) {
		if follow && c.readings == 1 {
			<-c.removed
			yield(nil, job.ErrChanged)
			return
		}
		if follow {
			<-ctx.Done()
			yield(nil, ctx.Err())
			return
		}
		c.readings++
		if from > 1 {
			yield(nil, fmt.Errorf("reading %d begins at %d", c.readings, from))
			return
		}
		now := time.Now()
		all := []job.Brief{
			{Source: "demo", ID: "1", Kind: job.Submitted, Sequence: 1, Time: now}, {Source: "demo", ID: "2", Kind: job.Submitted, Sequence: 2, Time: now},
		}
		yield(all[c.readings-1:], nil)
	}
}

// A job removed from the stream is no longer in the list.
func TestAListIsMadeAnewWhenTheStreamHasChanged(t *testing.T) {
	jobs := &changing{removed: make(chan struct{})}
	p := joblist.NewProjection(joblist.Options{Briefs: jobs})
	stop := following(t, p.Run)
	<-p.Ready()
	if known, _ := p.Known("demo", "1"); !known || p.Len() != 2 {
		t.Fatalf("the list holds %d jobs, want 2", p.Len())
	}
	close(jobs.removed)
	natstest.Eventually(t, "the list to be made anew", func() bool { return p.Len() == 1 })
	if known, _ := p.Known("demo", "1"); known {
		t.Error("the list knows a job whose event was removed")
	}
	if known, _ := p.Known("demo", "2"); !known {
		t.Error("the list does not know a job whose event is there")
	}
	stop()
}
