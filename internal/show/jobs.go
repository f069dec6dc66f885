package show

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/plain"
	"receiver/internal/poll"
	"receiver/internal/preflight"
	"receiver/internal/submit"
	"receiver/internal/words"
)

// Jobs prints a page of jobs.
func (p Printer) Jobs(page joblist.Page) error {
	rows := make([][]string, 0, len(page.Jobs))
	for _, j := range page.Jobs {
		rows = append(rows, jobRow(j))
	}
	if err := p.Table(page, strings.Fields("SINCE SOURCE JOB OBJECT STATE RESULT STATUS RECORDS FAILED EVIDENCE"), rows); err != nil {
		return err
	}
	if page.Next != "" && !p.JSON {
		p.Say("more: --cursor %s", page.Next)
	}
	return nil
}

// Changed prints a job that has changed.
func (p Printer) Changed(j joblist.Listed) error { return p.Line(j, strings.Join(jobRow(j), "  ")) }

func jobRow(j joblist.Listed) []string {
	return []string{
		j.At.Format(time.RFC3339), j.Source, j.ID, cmp.Or(j.Object, "-"), string(j.State), cmp.Or(string(j.Result), "-"),
		cmp.Or(j.Status, "-"), Number(j.Records), Number(j.Failed), cmp.Or(string(j.Evidence), "-"),
	}
}

// Job prints one job with its history.
func (p Printer) Job(j joblist.Job) error {
	if len(j.View.Cut) > 0 {
		p.Say("not shown: %s; they are in the bodies of the events; if these are encrypted, give --identity-file",
			strings.Join(j.View.Cut, ", "))
	}
	if err := p.Table(j, []string{"JOB", "SOURCE", "OBJECT", "STATE", "RESULT", "RECORDS", "FAILED", "EXPECTED", "FILES UNTIL"}, [][]string{{
		j.View.ID, j.Source, cmp.Or(j.View.Object, "-"), string(j.State), cmp.Or(string(j.View.Result), "-"),
		Number(j.View.Records), Number(j.View.Failed), yesNo(j.Expected), Moment(j.FilesUntil),
	}}); err != nil || p.JSON {
		return err
	}
	if j.View.Error != "" {
		p.Say("the platform reports an error: %s", j.View.Error)
	}
	if w := j.Watch; w != nil {
		p.Say("the platform was polled %s, %s without a usable answer; next poll at %s",
			words.Count(w.Looks, "time"), words.Count(w.Failures, "time"), Moment(w.Next))
		if w.Error != "" {
			p.Say("last error: %s", w.Error)
		}
	}
	rows := make([][]string, 0, len(j.History))
	for _, e := range j.History {
		by := string(e.Evidence)
		if e.Key != "" {
			by += " " + e.Key
		}
		rows = append(rows, []string{fmt.Sprint(e.Sequence), Moment(e.Time), string(e.Kind), cmp.Or(e.Status, "-"), cmp.Or(string(e.Result), "-"), by})
	}
	if _, err := fmt.Fprintln(p.Out); err != nil {
		return err
	}
	return p.Table(nil, []string{"SEQ", "TIME", "EVENT", "STATUS", "RESULT", "EVIDENCE"}, rows)
}

// Events prints events as they stand in the stream.
func (p Printer) Events(events []api.Event) error {
	object := func(e api.Event) any {
		return map[string]any{"sequence": e.Sequence, "subject": e.Subject, "time": e.Time, "evidence": e.Evidence, "job": e.Job}
	}
	return Each(p, events, object, []string{"SEQ", "TIME", "EVENT", "STATUS", "RESULT", "EVIDENCE"}, func(e api.Event) []string {
		return []string{fmt.Sprint(e.Sequence), Moment(e.Time), string(e.Kind), e.Job.Status, cmp.Or(string(e.Job.Result), "-"), string(e.Evidence)}
	})
}

// Status prints the platform's word on a job.
func (p Printer) Status(s submit.Status) error {
	return p.Table(s, []string{"JOB", "STATUS", "OBJECT", "RECORDS", "FAILED", "RESULT", "ERROR"},
		[][]string{{s.ID, s.Status, s.Object, Number(s.Records), Number(s.Failed), cmp.Or(string(s.Result), "-"), s.Error}})
}

// RowError prints the error of one row.
func (p Printer) RowError(row poll.Row) error { return p.Line(row, row.Text) }

// Submitted is what submit prints of a job.
type Submitted struct {
	Job string `json:"job"`
	// Sequence is that of the submitted event; zero if it is not known.
	Sequence uint64 `json:"sequence,omitempty"`
	Subject  string `json:"subject"`
}

// Submitted prints a job that was submitted.
func (p Printer) Submitted(source, id string, sequence uint64) error {
	return p.Line(Submitted{id, sequence, job.Subject(source, id, job.Submitted)}, id)
}

// Replay prints where an event was published once more.
func (p Printer) Replay(r api.Replay) error {
	return p.Table(r, []string{"STREAM", "SEQ", "SUBJECT", "EVENT"}, [][]string{{r.Stream, fmt.Sprint(r.Sequence), r.Subject, fmt.Sprint(r.Of)}})
}

// Objects prints the objects of a source.
func (p Printer) Objects(objects []submit.Object) error {
	rows := make([][]string, 0, len(objects))
	for _, o := range objects {
		rows = append(rows, []string{o.Name, o.VendorName, o.Type})
	}
	return p.Table(objects, []string{"OBJECT", "VENDOR NAME", "TYPE"}, rows)
}

// Fields prints the fields of an object.
func (p Printer) Fields(m submit.Metadata) error {
	rows := make([][]string, 0, len(m.Fields))
	for _, f := range m.Fields {
		required := ""
		if f.VendorRequired != nil && *f.VendorRequired {
			required = "required"
		}
		rows = append(rows, []string{f.VendorPath, f.Type, required, f.VendorDisplayName})
	}
	return p.Table(m, []string{"FIELD", "TYPE", "", "DISPLAY NAME"}, rows)
}

// Findings says what the check of a file found.
func (p Printer) Findings(file string, r preflight.Report) {
	for _, found := range r.Findings {
		p.Say("%s: %s: %s", found.Severity, plain.Text(file), found.Message)
	}
	if r.More > 0 {
		p.Say("%s more", words.Count(r.More, "finding"))
	}
}
