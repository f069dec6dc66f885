package jobs_test

import (
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
	"receiver/internal/poll"
)

// A job without an end says when it should end, and when the platform is asked next.
func TestWhatComesOfAJobIsListed(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.Schedule = func(source, object string) poll.Schedule {
		return poll.Schedule{Expected: time.Minute, Deadline: time.Hour, Retention: 10 * time.Hour}
	}
	next, since := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond), time.Now().Add(-30*time.Minute).UTC()
	watch := func(id string) {
		t.Helper()
		if ok, err := r.store.PutWatch(t.Context(), job.Watch{Source: "demo", Job: id, Since: since, Next: next}); !ok || err != nil {
			t.Fatalf("PutWatch = %v, %v", ok, err)
		}
	}
	r.event(job.Submitted, "new", "CREATED")
	r.event(job.Submitted, "watched", "CREATED")
	watch("watched")
	r.event(job.Submitted, "a b/c", "CREATED")
	watch("a b/c")
	r.event(job.Submitted, "overdue", "CREATED")
	r.event(job.Overdue, "overdue", "CREATED")
	watch("overdue")
	r.event(job.Progress, "called", "RUNNING")
	r.event(job.Progress, "called, and watched", "SOMETHING")
	watch("called, and watched")
	r.event(job.Submitted, "lost", "CREATED")
	r.event(job.Lost, "lost", "CREATED")
	r.event(job.Submitted, "finished", "CREATED")
	r.event(job.Finished, "finished", "COMPLETED")
	watch("finished") // for the errors of its rows
	page, err := r.List(t.Context(), joblist.Query{}, 0)
	natstest.Must(t, err)
	got := map[string]*joblist.Due{}
	for _, j := range page.Jobs {
		got[j.ID] = j.Due
		one, err := r.Job(t.Context(), "demo", j.ID, false, 0)
		natstest.Must(t, err)
		switch {
		case (one.Due == nil) != (j.Due == nil):
			t.Errorf("%s: listed with %+v, shown with %+v", j.ID, j.Due, one.Due)
		case one.Due != nil && (one.Due.Overdue.Sub(j.Due.Overdue).Abs() > time.Second || !one.Due.NextPoll.Equal(j.Due.NextPoll)):
			t.Errorf("%s: listed with %+v, shown with %+v", j.ID, *j.Due, *one.Due)
		}
	}
	for id, want := range map[string]*joblist.Due{
		"watched": {NextPoll: next}, "a b/c": {NextPoll: next}, "overdue": {NextPoll: next}, "called, and watched": {NextPoll: next},
		"called": nil, "lost": nil, "finished": nil,
	} {
		if want != nil {
			want.Expected, want.Overdue, want.Lost = since.Add(time.Minute), since.Add(time.Hour), since.Add(11*time.Hour)
		}
		switch d := got[id]; {
		case (d == nil) != (want == nil):
			t.Errorf("%s: due %+v, want %+v", id, d, want)
		case d != nil && (!d.Expected.Equal(want.Expected) || !d.Overdue.Equal(want.Overdue) || !d.Lost.Equal(want.Lost) || !d.NextPoll.Equal(want.NextPoll)):
			t.Errorf("%s: due %+v, want %+v", id, *d, *want)
		}
	}
	if d := got["new"]; d == nil || !d.NextPoll.IsZero() || time.Until(d.Overdue) < 59*time.Minute {
		t.Errorf("of a job without a watch: %+v, want what its submission tells", d)
	}
}
