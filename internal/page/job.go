package page

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"receiver/api"
	"receiver/api/client"
)

// So many errors of rows and attempts are shown.
const (
	errorRows   = 50
	attemptRows = 20
)

// job shows one job: a timeline, and beside it the errors of its rows and its result.
func (p *Page) job(v *visit) error {
	n, err := named(v.r)
	if err != nil {
		return err
	}
	return v.showJob(n, nil)
}

// showJob shows a job, with what went wrong with a change of it.
func (v *visit) showJob(n jobName, failed *api.Problem) error {
	view, err := v.readJob(n)
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	view.Done, view.Failed = doneWords[q.Get("done")], failed
	var live []string
	switch {
	case failed != nil:
		v.status = failed.Status
	case !view.Known:
		v.status = http.StatusNotFound
	default:
		view.asked(v, q.Get("show"))
		if q.Get("show") == "" {
			live = []string{"facts", "timeline"}
		}
	}
	return v.show("job", "Job "+clip(n.ID), view, live...)
}

// doneWords are what is said after a change.
var doneWords = map[string]string{
	"poll": "The platform is polled for this job next.", "cancel": "The platform was asked to cancel the job.",
	"release": "The quarantined callbacks are published.", "replay": "The event was published once more.",
}

// jobView is what the view of one job shows.
type jobView struct {
	jobName
	// Known is false of a job that is not recorded here.
	Known    bool
	Job      api.Job
	Progress *jobAge
	Steps    []jobStep
	// Attempts say what the timeline lacks of them; the scope audit opens them.
	More, Unread int
	Next         string
	Quarantined  bool
	Rows         *jobPart
	Result       *jobPart
	Status       *jobPart
	Done         string
	Failed       *api.Problem
}

// jobPart is what was asked for beside the job. Problem is why it is not there.
type jobPart struct {
	Errors    []string
	Truncated bool
	Columns   []string
	Cells     [][]string
	Answer    *api.Status
	Problem   string
}

// readJob asks for a job and its attempts.
func (v *visit) readJob(n jobName) (*jobView, error) {
	view, now := &jobView{jobName: n}, time.Now()
	id, edit := n.asked()
	job, err := client.Answer[api.Job](v.api.GetJob(v.r.Context(), n.Source, id, &api.GetJobParams{}, edit))
	problem := new(api.Problem)
	switch {
	case err == nil:
		view.Known, view.Job = job.State != "", job
	case !errors.As(err, &problem) || problem.Type != api.UnknownJob.Type():
		return nil, err
	}
	if view.Known {
		view.history(now)
	}
	if v.May("audit") {
		params := &api.ListJobAttemptsParams{After: v.r.URL.Query().Get("after")}
		most := attemptRows
		params.Limit = &most
		page, err := client.Answer[api.JobAttempts](v.api.ListJobAttempts(v.r.Context(), n.Source, id, params, edit))
		if err != nil {
			return nil, err
		}
		view.attempts(page)
	}
	slices.SortStableFunc(view.Steps, func(a, b jobStep) int { return a.At.Compare(b.At) })
	view.bound()
	if job.Errors != nil {
		view.rowErrors(v, false)
	}
	return view, nil
}

// asked asks for what is shown only on demand, because the platform has to be asked.
func (view *jobView) asked(v *visit, what string) {
	id, edit := view.jobName.asked()
	switch what {
	case "result":
		view.Result = view.preview(v)
	case "errors":
		view.rowErrors(v, true)
	case "status":
		answer, err := client.Answer[api.Status](v.api.GetJobStatus(v.r.Context(), view.Source, id, edit))
		view.Status = &jobPart{Answer: &answer}
		if err != nil {
			view.Status = &jobPart{Problem: err.Error()}
		}
	}
}

// rowErrors asks why rows failed: for what is stored, or else the platform.
func (view *jobView) rowErrors(v *visit, platform bool) {
	most := errorRows
	id, edit := view.jobName.asked()
	got, err := client.Answer[api.RowErrors](v.api.ListJobErrors(v.r.Context(), view.Source, id, &api.ListJobErrorsParams{Limit: &most, Platform: platform}, edit))
	view.Rows = &jobPart{Truncated: got.Truncated}
	if err != nil {
		view.Rows.Problem = err.Error()
	}
	for _, row := range got.Errors {
		if row.Text == "" {
			row.Text = string(row.Raw)
		}
		view.Rows.Errors = append(view.Rows.Errors, beginning(row.Text, 120))
	}
}

// So much of a result is shown, and read for it.
const (
	previewRows    = 20
	previewColumns = 12
	previewBytes   = 64 << 10
)

// preview reads the first rows of the result, and breaks it off.
func (view *jobView) preview(v *visit) *jobPart {
	id, edit := view.jobName.asked()
	body, err := client.Body(v.api.GetJobResult(v.r.Context(), view.Source, id, &api.GetJobResultParams{Object: v.r.URL.Query().Get("object")}, edit))
	if err != nil {
		return &jobPart{Problem: err.Error()}
	}
	defer body.Close()
	rows := csv.NewReader(io.LimitReader(body, previewBytes))
	rows.FieldsPerRecord, rows.LazyQuotes = -1, true
	part := &jobPart{}
	for len(part.Cells) <= previewRows {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) || rows.InputOffset() >= previewBytes {
			break // the last row of what was read may be a part of one
		}
		if err != nil {
			part.Problem = err.Error()
			break
		}
		cells := make([]string, min(len(row), previewColumns))
		for i := range cells {
			cells[i] = beginning(row[i], 40)
		}
		part.Truncated = part.Truncated || len(row) > previewColumns
		part.Cells = append(part.Cells, cells)
	}
	if len(part.Cells) > 0 {
		part.Columns, part.Cells = part.Cells[0], part.Cells[1:]
	}
	return part
}

// jobStep is one point of the timeline.
type jobStep struct {
	At           time.Time
	Word, Class  string
	Status, Note string
	Key, Remote  string
	// Record names the record of it, as in JOBS/12; empty if there is none.
	Record string
	Ahead  bool
}

// history makes the steps of the events of a job, and of what is to come.
func (view *jobView) history(now time.Time) {
	j := view.Job
	for _, e := range j.History {
		s := jobStep{
			At: e.Time, Word: string(e.Kind), Status: clip(e.Status), Note: evidence[e.Evidence], Key: clip(e.Key), Remote: clip(e.Remote),
			Record: fmt.Sprintf("JOBS/%d", e.Sequence),
		}
		switch e.Kind {
		case "finished", "conflict":
			s.Word, s.Class = string(e.Kind)+": "+string(e.Result), jobClass("", e.Result)
		case "overdue", "lost":
			s.Class = jobClass(api.State(e.Kind), "")
		case "errors":
			s.Word, s.Status = "errors fetched", ""
			if j.Errors != nil {
				s.Note = fmt.Sprintf("%s, %s", grouped(int64(j.Errors.Count)), s.Note)
			}
		}
		if e.Unexpected {
			s.Note += "; not submitted here"
		}
		view.Steps = append(view.Steps, s)
	}
	ahead := func(at time.Time, word string) {
		if !at.IsZero() && at.After(now) {
			view.Steps = append(view.Steps, jobStep{At: at, Word: word, Ahead: true})
		}
	}
	if d := j.Due; d != nil {
		at := j.SubmittedAt
		if at.IsZero() {
			at = j.History[0].Time
		}
		age := jobProgress(j.State, d, at, time.Time{}, now)
		view.Progress = &age
		ahead(d.Expected, "expected to end")
		ahead(d.Overdue, "overdue")
		ahead(d.Lost, "given up")
	}
	if j.Watch != nil {
		ahead(j.Watch.Next, "next poll")
	}
	ahead(j.FilesUntil, "files gone from the platform")
	if at := j.FilesUntil; !at.IsZero() && !at.After(now) {
		view.Steps = append(view.Steps, jobStep{At: at, Word: "files gone from the platform"})
	}
}

// evidence says how an event is known.
var evidence = map[api.Evidence]string{
	"callback": "by callback", "poll": "by polling", "late": "by callback, accepted later", "vendor-queue": "from the platform's queue",
	"receiver": "by the receiver",
}

// attempts makes the steps of callbacks that made no event.
func (view *jobView) attempts(page api.JobAttempts) {
	view.Next, view.Unread = page.Next, page.Unread
	for _, a := range page.Attempts {
		s := jobStep{At: a.Callback.Received, Word: a.Callback.Verdict, Note: attemptBy[a.By], Key: clip(a.Callback.Key), Remote: clip(a.Callback.Remote), Record: a.Callback.ID}
		if s.Word == "refused" {
			s.Word, s.Class = "refused: "+a.Callback.Reason, "bad"
			if a.By == api.JobAttemptByBody {
				s.Note += ", which anybody can write"
			}
		}
		if s.Word == "quarantined" {
			s.Class, view.Quarantined = "mixed", true
		}
		view.Steps = append(view.Steps, s)
	}
}

// attemptBy says how an attempt is known to be about the job.
var attemptBy = map[api.JobAttemptBy]string{
	"event": "repeats an event", "digest": "the same bytes as an event", "body": "its body names the job",
}

// bound leaves out steps from the middle of a long timeline.
func (view *jobView) bound() {
	const most, first = 40, 10
	if n := len(view.Steps); n > most {
		view.More = n - most
		view.Steps = append(view.Steps[:first:first], view.Steps[n-most+first:]...)
	}
}

// Class is the colour of the state.
func (view *jobView) Class() string { return jobClass(view.Job.State, view.Job.View.Result) }

// Colour is that of a result.
func (view *jobView) Colour(r api.Result) string { return jobClass("", r) }

// Outcome is the word for the state.
func (view *jobView) Outcome() string { return outcome(view.Job.State, view.Job.View.Result) }

// Ended reports whether there is word of the end.
func (view *jobView) Ended() bool { return slices.Contains(doneStates, view.Job.State) }

// Failures are the rows that failed.
func (view *jobView) Failures() jobFailures {
	return failures(view.Job.View.Records, view.Job.View.Failed)
}

// Flawless reports whether no row has failed.
func (view *jobView) Flawless() bool {
	failed := view.Job.View.Failed
	return view.Ended() && failed != nil && *failed == 0
}

// Took says how long the job took.
func (view *jobView) Took() string {
	return jobRow{ListedJob: api.ListedJob{Expected: view.Job.Expected, At: view.Job.SubmittedAt, FinishedAt: view.Job.FinishedAt}}.Took()
}

// Cut bounds what the platform says, which is short as a rule.
func (view *jobView) Cut(v any) string { return beginning(fmt.Sprintf("%s", v), 600) }

// Kinds are those of the events that can be replayed.
func (view *jobView) Kinds() (all []api.Kind) {
	for _, e := range slices.Backward(view.Job.History) {
		if !slices.Contains(all, e.Kind) {
			all = append(all, e.Kind)
		}
	}
	return all
}

// To is the address of something of the job: a change, a file, or what is shown on demand.
func (view *jobView) To(behind string, more ...string) string { return view.address(behind, more...) }

// Apart reports whether the id is a parameter of that address.
func (view *jobView) Apart() bool { return apart(view.ID) }
