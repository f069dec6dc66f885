package poll_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
	"receiver/internal/poll"
)

// An unreadable result is no success: the job has ended, its result is unknown, and the platform is
// polled until it names the outcome, or has given the same answer too often.
func TestUnknownResultIsPolled(t *testing.T) {
	t.Parallel()
	const (
		unclear = `{"id":"ID","status":"COMPLETED","recordsFailedCount":"some"}`
		clear   = `{"id":"ID","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`
		partial = `{"id":"ID","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1}`
		both    = `{"id":"ID","status":"COMPLETED","jobStatus":"ABORTED"}`
		aborted = `{"id":"ID","status":"ABORTED"}`
	)
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i, tt := range []struct {
		name    string
		calls   []string // callbacks; none means that the job was submitted and is polled for
		answers []string
		want    []string
		result  job.Result
		by      job.Evidence
		asked   int // 0: as often as it likes
	}{
		{
			"it says at once", []string{unclear}, []string{clear},
			[]string{"finished unknown by callback", "conflict succeeded by poll"}, job.Succeeded, job.ByPoll, 1,
		},
		{
			"it says that rows failed", []string{unclear}, []string{partial},
			[]string{"finished unknown by callback", "conflict partial by poll", "errors by poll"}, job.Partial, job.ByPoll, 1,
		},
		{
			"it says so later", []string{unclear}, []string{unclear, "503 down", running, clear},
			[]string{"finished unknown by callback", "conflict succeeded by poll"}, job.Succeeded, job.ByPoll, 4,
		},
		{
			"it says the same for ever", []string{unclear}, []string{unclear},
			[]string{"finished unknown by callback"}, job.Undecided, job.ByCallback, 4,
		},
		{
			"the same, with rows that failed for certain", []string{`{"id":"ID","status":"COMPLETED","errorCount":2,"numOfRowsFailed":"some"}`},
			[]string{unclear}, []string{"finished unknown by callback", "errors by poll"}, job.Undecided, job.ByCallback, 4,
		},
		{
			"the answer to a question", nil, []string{unclear, clear},
			[]string{"submitted by receiver", "finished unknown by poll", "conflict succeeded by poll"}, job.Succeeded, job.ByPoll, 2,
		},
		{
			"two ends at once", []string{both}, []string{aborted},
			[]string{"finished unknown by callback", "conflict failed by poll"}, job.Failed, job.ByPoll, 1,
		},
		{
			"an end and none at once", []string{`{"id":"ID","status":"COMPLETED","jobStatus":"RUNNING"}`}, []string{clear},
			[]string{"progress by callback", "finished succeeded by poll"}, job.Succeeded, job.ByPoll, 1,
		},
		{
			"a callback says it", []string{unclear, partial}, []string{"503 down"},
			[]string{"finished unknown by callback", "conflict partial by callback", "errors by poll"}, job.Partial, job.ByCallback, 0,
		},
		{
			"a clear end before", []string{clear, unclear}, []string{clear},
			[]string{"finished succeeded by callback", "conflict unknown by callback"}, job.Succeeded, job.ByCallback, 1,
		},
		{
			"a clear end before, which was wrong", []string{clear, unclear}, []string{partial},
			[]string{"finished succeeded by callback", "conflict unknown by callback", "conflict partial by poll"}, job.Succeeded, job.ByCallback, 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := fmt.Sprint("u", i)
			p := says(tt.answers...)
			p.rows = gives(1, poll.Row{Text: "x"})
			w, stop := run(t, p.options(bus))
			if tt.calls == nil {
				publishAll(t, bus, submitted(id))
			}
			for _, body := range tt.calls {
				e := callback(t, job.Progress, strings.ReplaceAll(body, "ID", id))
				if e.Job.Over() {
					e.Kind = job.Finished
				}
				if _, err := job.PublishResolvingConflict(t.Context(), w.Publish, e); err != nil {
					t.Fatal(err)
				}
			}
			awaitHistory(t, bus, id, tt.want...)
			awaitNoWatch(t, bus, id)
			stop()
			if got := history(t, bus, id); !slices.Equal(got, tt.want) {
				t.Errorf("the job has the events %q, want %q", got, tt.want)
			}
			if n := p.questions(id); tt.asked != 0 && n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
			checkResult(t, bus, id, tt.result, tt.by)
		})
	}
}

// checkResult holds Fold and the list to one result.
func checkResult(t *testing.T, bus interface {
	poll.Events
	joblist.Briefs
}, id string, want job.Result, by job.Evidence) {
	t.Helper()
	events, err := bus.Job(t.Context(), "demo", id)
	if err != nil {
		t.Fatal(err)
	}
	if j := joblist.Fold(events); j.View.Result != want || j.Evidence != by {
		t.Errorf("Fold = %s by %s, want %s by %s", j.View.Result, j.Evidence, want, by)
	}
	list := joblist.NewProjection(joblist.Options{Briefs: bus})
	if err := list.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := list.List(joblist.Query{Text: id, Results: []job.Result{want}})
	if err != nil || len(page.Jobs) != 1 || page.Jobs[0].Evidence != by {
		t.Errorf("listed with result %s: %+v, %v, want the one job, by %s", want, page.Jobs, err, by)
	}
}

// Where it can be asked before, the first word is the clear one.
func TestTheResultThatIsUnknownIsConfirmed(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i, tt := range []struct {
		body, answer string
		confirmed    bool
	}{
		{`{"id":"ID","status":"COMPLETED","recordsCount":"some","recordsFailedCount":0}`, completed, false},
		{`{"id":"ID","status":"COMPLETED","recordsCount":"some","recordsFailedCount":0}`, `{"status":"COMPLETED","errorCount":"some"}`, true},
		{`{"id":"ID","status":"COMPLETED","jobStatus":"ABORTED"}`, `{"status":"ABORTED"}`, false},
	} {
		id := fmt.Sprint("c", i)
		e := callback(t, job.Finished, strings.ReplaceAll(tt.body, "ID", id))
		p := says(tt.answer)
		w, err := poll.New(p.options(bus))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.Confirm("demo", poll.ConfirmUnsigned)(t.Context(), e.Job); got != tt.confirmed || err != nil || p.questions(id) != 1 {
			t.Errorf("%s, and the platform says %s: Confirm = %v, %v after %d questions, want %v", tt.body, tt.answer, got, err, p.questions(id), tt.confirmed)
		}
	}
}
