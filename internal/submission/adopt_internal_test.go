package submission

import (
	"testing"

	"receiver/internal/job"
)

// A process keeps the open submissions, and not those of a week.
func TestOnlyOpenSubmissionsAreKept(t *testing.T) {
	t.Parallel()
	var left open
	for _, r := range []job.Submission{
		{Source: "crm", Name: "A", State: job.SubmissionPending, Sequence: 1},
		{Source: "crm", Name: "B", State: job.SubmissionSubmitted, Sequence: 2},
		{Source: "crm", Name: "C", State: job.SubmissionUnknown, Sequence: 3},
		{Source: "crm", Name: "C", State: job.SubmissionFailed, Sequence: 4},
		{Source: "crm", Name: "A", State: job.SubmissionFailed, Sequence: 0}, // older than the one that is kept
	} {
		left.note(r)
	}
	if len(left.all) != 1 || left.all["crm.A"] == nil {
		t.Errorf("%d submissions are kept, want A alone", len(left.all))
	}
}
