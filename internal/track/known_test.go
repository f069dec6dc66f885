package track_test

import (
	"fmt"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/track"
)

func TestKnownIsWhatWasSubmitted(t *testing.T) {
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
	s := start(t)
	here, there := open(t, s), open(t, s)
	p := track.NewProjection(track.ProjectionOptions{Briefs: here})
	stop := background(t, p.Run)
	eventually(t, "the projection to follow", func() bool {
		_, current := p.Known("demo", "none")
		return current
	})
	for i := range 50 {
		id := fmt.Sprint(i)
		publishAll(t, there, submitted(id))
		eventually(t, "the submission to be known", func() bool {
			known, _ := p.Known("demo", id)
			return known
		})
	}
	announced := job.Brief{Source: "demo", ID: "announced", Kind: job.Submitted, Time: time.Now()}
	p.Add([]job.Brief{announced})
	if known, current := p.Known("demo", "announced"); known || current {
		t.Errorf("announced: Known = %v, current %v, want neither", known, current)
	}
	if page, err := p.List(track.Query{Text: "announced"}); err != nil || len(page.Jobs) != 0 {
		t.Errorf("announced: List = %+v, %v, want none", page, err)
	}
	if known, current := p.Known("demo", "none"); known || !current {
		t.Errorf("another: Known = %v, current %v, want current", known, current)
	}
	stop()
}

// What was left out to make room may have been submitted: the store must be asked.
func TestAFullProjectionKnowsNoJobToBeUnknown(t *testing.T) {
	bus := open(t, start(t))
	publishAll(t, bus, submitted("1"), submitted("2"))
	for _, tt := range []struct {
		room int
		next string
		want bool
	}{{2, "3", false}, {4, "4", false}, {6, "5", true}} {
		p := track.NewProjection(track.ProjectionOptions{Briefs: bus, MaxJobs: tt.room})
		stop := background(t, p.Run)
		<-p.Ready()
		publishAll(t, bus, submitted(tt.next))
		eventually(t, "the projection to follow", func() bool {
			known, _ := p.Known("demo", tt.next)
			return known
		})
		if known, current := p.Known("demo", "none"); known || current != tt.want {
			t.Errorf("room for %d: Known = %v, current %v, want current %v", tt.room, known, current, tt.want)
		}
		stop()
	}
}
