package track_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/track"
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

// What was removed from the stream is in the list no more.
func TestAListIsMadeAnewWhenTheStreamHasChanged(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	jobs := &changing{removed: make(chan struct{})}
	p := track.NewProjection(track.ProjectionOptions{Briefs: jobs})
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	<-p.Ready()
	if known, _ := p.Known("demo", "1"); !known || p.Len() != 2 {
		t.Fatalf("the list holds %d jobs, want 2", p.Len())
	}
	close(jobs.removed)
	eventually(t, "the list to be made anew", func() bool { return p.Len() == 1 })
	if known, _ := p.Known("demo", "1"); known {
		t.Error("the list knows a job whose event was removed")
	}
	if known, _ := p.Known("demo", "2"); !known {
		t.Error("the list does not know a job whose event is there")
	}
	stop()
	<-done
}
