package joblist_test

import (
	"fmt"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
)

func TestSubmittedJobsAreKnown(t *testing.T) {
	p := sample()
	for _, tt := range []struct {
		source, id string
		want       bool
	}{{"demo", "1", true}, {"demo", "4", false}, {"crm", "1", false}, {"else", "1", false}} {
		if got, current := p.Known(tt.source, tt.id); got != tt.want || current {
			t.Errorf("Known(%s, %s) = %v, want %v", tt.source, tt.id, got, tt.want)
		}
	}
}

// A submission of another process is announced before it is read: until then memory does not
// say that the job is unknown.
func TestAnAnnouncedSubmissionIsNotUnknown(t *testing.T) {
	s := natstest.Start(t, t.TempDir())
	here, there := natstest.Open(t, s), natstest.Open(t, s)
	p := joblist.NewProjection(joblist.Options{Briefs: here})
	stop := following(t, p.Run)
	natstest.Eventually(t, "the projection to follow", func() bool {
		_, current := p.Known("demo", "none")
		return current
	})
	for i := range 50 {
		id := fmt.Sprint(i)
		natstest.Store(t, there, natstest.Event(job.Submitted, id, "CREATED"))
		natstest.Eventually(t, "the submission to be known", func() bool {
			known, _ := p.Known("demo", id)
			return known
		})
	}
	announced := job.Brief{Source: "demo", ID: "announced", Kind: job.Submitted, Time: time.Now()}
	p.Add([]job.Brief{announced})
	if known, current := p.Known("demo", "announced"); known || current {
		t.Errorf("announced: Known = %v, current %v, want neither", known, current)
	}
	if page, err := p.List(joblist.Query{Text: "announced"}); err != nil || len(page.Jobs) != 0 {
		t.Errorf("announced: List = %+v, %v, want none", page, err)
	}
	if known, current := p.Known("demo", "none"); known || !current {
		t.Errorf("another: Known = %v, current %v, want current", known, current)
	}
	stop()
}

// A job that was left out to save memory may have been submitted: the store must be asked.
func TestAFullProjectionKnowsNoJobToBeUnknown(t *testing.T) {
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	natstest.Store(t, bus, natstest.Event(job.Submitted, "1", "CREATED"))
	natstest.Store(t, bus, natstest.Event(job.Submitted, "2", "CREATED"))
	for _, tt := range []struct {
		room int
		next string
		want bool
	}{{2, "3", false}, {4, "4", false}, {6, "5", true}} {
		p := joblist.NewBounded(joblist.Options{Briefs: bus}, tt.room)
		stop := following(t, p.Run)
		<-p.Ready()
		natstest.Store(t, bus, natstest.Event(job.Submitted, tt.next, "CREATED"))
		natstest.Eventually(t, "the projection to follow", func() bool {
			known, _ := p.Known("demo", tt.next)
			return known
		})
		if known, current := p.Known("demo", "none"); known || current != tt.want {
			t.Errorf("room for %d: Known = %v, current %v, want current %v", tt.room, known, current, tt.want)
		}
		stop()
	}
}
