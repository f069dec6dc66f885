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

// A job that was left out to save memory may have been submitted: the store must be asked, but not
// after every other job. So it is after a start with a snapshot, too.
func TestAFullProjectionKnowsWhatItLeftOut(t *testing.T) {
	type answer struct{ submitted, current bool }
	for _, tt := range []struct {
		name string
		room int
		want map[string]answer
	}{
		{"room for all", 9, map[string]answer{"1": {true, true}, "5": {true, true}, "none": {false, true}}},
		{"room for three", 3, map[string]answer{"1": {false, false}, "3": {false, false}, "4": {true, true}, "5": {true, true}, "none": {false, true}, "called": {false, true}}},
		{"room for one", 1, map[string]answer{"1": {false, false}, "4": {false, false}, "5": {true, true}, "none": {false, true}, "called": {false, true}}},
	} {
		s := &storage{name: "x", first: 1, saved: make(chan bool, 1)}
		for i, id := range []string{"1", "2", "3", "4"} {
			s.events = append(s.events, brief(uint64(i+1), "demo", id, job.Submitted, 100, "CREATED", ""))
		}
		s.events = append(s.events, brief(5, "demo", "called", job.Finished, 100, "COMPLETED", ""), brief(6, "demo", "5", job.Submitted, 100, "CREATED", ""))
		for _, from := range []uint64{1, 7} { // with the first event, and behind the snapshot
			p := joblist.NewBounded(joblist.Options{Briefs: s, Snapshots: s}, tt.room)
			stop := following(t, p.Run)
			natstest.Eventually(t, "the projection to follow", func() bool {
				_, current := p.Known("demo", "5")
				return current
			})
			for id, want := range tt.want {
				submitted, current := p.Known("demo", id)
				if got := (answer{submitted, current}); got != want {
					t.Errorf("%s, from %d on: Known(%s) = %v, want %v", tt.name, from, id, got, want)
				}
			}
			if from == 1 {
				<-s.saved
			}
			stop()
			if s.from != from {
				t.Errorf("%s: the projection was read from %d on, want %d", tt.name, s.from, from)
			}
		}
	}
}
