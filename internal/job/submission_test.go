package job_test

import (
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
)

func TestRecordsOfSubmissionsRoundTrip(t *testing.T) {
	t.Parallel()
	r := job.Submission{
		Source: "crm", Name: "a.b", Object: "contact", State: job.SubmissionUnknown, Error: "lost", Whole: true, Parameters: "p", Body: "b",
		Begun: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Changed: time.Date(2026, 11, 30, 12, 1, 0, 0, time.UTC), Request: "r",
	}
	data, err := r.Data()
	if err != nil {
		t.Fatal(err)
	}
	subject := job.SubmissionSubject("crm", "a.b")
	if got, err := job.ParseSubmission(subject, data); err != nil || got != r {
		t.Errorf("ParseSubmission = %+v, %v, want %+v", got, err, r)
	}
	for name, tt := range map[string]struct{ subject, data string }{
		"no JSON":            {subject, "{"},
		"of another source":  {job.SubmissionSubject("erp", "a.b"), string(data)},
		"of another name":    {job.SubmissionSubject("crm", "b"), string(data)},
		"on another subject": {"watch.crm.a", string(data)},
	} {
		if _, err := job.ParseSubmission(tt.subject, []byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.subject) {
			t.Errorf("%s: %v, want an error that names the subject", name, err)
		}
	}
	r.Begun = time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := r.Data(); err == nil {
		t.Error("a time that JSON has no form for was written")
	}
}

func TestOpenSubmissions(t *testing.T) {
	t.Parallel()
	for state, want := range map[job.SubmissionState]bool{
		job.SubmissionPending: true, job.SubmissionUnknown: true, job.SubmissionSubmitted: false, job.SubmissionFailed: false,
	} {
		if got := (job.Submission{State: state}).Open(); got != want {
			t.Errorf("%s: Open = %v, want %v", state, got, want)
		}
	}
}

// FuzzParseSubmission holds that a record that is taken is written as it was.
func FuzzParseSubmission(f *testing.F) {
	f.Add("submissions.crm.A", []byte(`{"source":"crm","submission":"A","state":"unknown","whole":true,"parameters":"p","begun":"2026-11-30T12:00:00Z","changed":"2026-11-30T12:00:00Z"}`))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		r, err := job.ParseSubmission(subject, data)
		if err != nil {
			return
		}
		again, err := r.Data()
		if err != nil {
			return
		}
		if got, err := job.ParseSubmission(subject, again); err != nil || !got.Begun.Equal(r.Begun) || got.Name != r.Name || got.State != r.State {
			t.Errorf("%q is %+v, and then %+v, %v", data, r, got, err)
		}
	})
}
