package job

import (
	"encoding/json"
	"fmt"
	"time"
)

// SubmissionState is what became of a submission.
type SubmissionState string

// The states of a submission.
const (
	// SubmissionPending: the request is being sent to the platform, or its process has died.
	SubmissionPending SubmissionState = "pending"
	// SubmissionSubmitted: the platform made the job that Submission.Job names.
	SubmissionSubmitted SubmissionState = "submitted"
	// SubmissionUnknown: the platform may have made a job. It is asked until that is clear.
	SubmissionUnknown SubmissionState = "unknown"
	// SubmissionFailed: the platform made no job. The request can be sent again.
	SubmissionFailed SubmissionState = "failed"
)

// Submission is what is known of one submission. Its JSON is the message on its subject in the
// stream SUBMISSIONS; each change replaces the message.
type Submission struct {
	// Source is the source, and Name names the submission within it. It is made of the key of the
	// request, or random without one, and is also in the address that the platform calls back.
	Source string          `json:"source"`
	Name   string          `json:"submission"`
	Object string          `json:"object,omitempty"`
	State  SubmissionState `json:"state"`
	// Job is the platform's id of the job; empty unless submitted.
	Job string `json:"job,omitempty"`
	// Error says why it failed or is unknown.
	Error string `json:"error,omitempty"`
	// Whole is true once the whole body was read: before, no job can exist.
	Whole bool `json:"whole"`
	// Parameters is the SHA-256 of all parameters of the request, in hexadecimal, and Body that of
	// its whole body; of a request without a key, which cannot be repeated, Body is empty.
	Parameters string `json:"parameters"`
	Body       string `json:"body_sha256,omitempty"`
	// Begun and Changed are when the request came and when the record was written.
	Begun   time.Time `json:"begun"`
	Changed time.Time `json:"changed"`
	// Lease is until when a pending one belongs to the process that sends it.
	Lease time.Time `json:"lease,omitzero"`
	// Request is the id of the HTTP request.
	Request string `json:"request_id,omitempty"`
	// Sequence is the message's place in the stream; zero of one that is not stored yet.
	Sequence uint64 `json:"-"`
}

// Open reports whether it is not clear yet whether the platform has a job of it.
func (r Submission) Open() bool { return r.State == SubmissionPending || r.State == SubmissionUnknown }

// Data returns the data of the record's message.
func (r Submission) Data() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("writing the record of submission %s: %w", r.Name, err)
	}
	return data, nil
}

// ParseSubmission undoes Data, of a message on a subject. It returns an error for a message that
// this program did not write.
func ParseSubmission(subject string, data []byte) (Submission, error) {
	var r Submission
	if err := json.Unmarshal(data, &r); err != nil {
		return Submission{}, fmt.Errorf("message on %q is no record of a submission: %w", subject, err)
	}
	if subject != SubmissionSubject(r.Source, r.Name) {
		return Submission{}, fmt.Errorf("message on %q is a record of submission %q of source %q", subject, r.Name, r.Source)
	}
	return r, nil
}
