package submit

import (
	"encoding/json"
	"fmt"
	"time"

	"receiver/internal/job"
)

// Submission is what we know of a job that we handed to the platform. Its JSON is
// the data of the job's submitted event.
type Submission struct {
	// ID is our own name of the submission, made before the upload; the token in its
	// callback address speaks for it.
	ID     string `json:"submission"`
	Job    string `json:"job"`
	Source string `json:"source"`
	Object string `json:"object"`
	// Direction is UPLOAD or DOWNLOAD.
	Direction string `json:"direction"`
	// File is the name of the file as given to the platform, and Bytes its size.
	File  string `json:"file,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
	// Query is the query of a download job.
	Query    string          `json:"query,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	// RequestID is the id of the HTTP request that asked for it; empty without one.
	RequestID string `json:"request_id,omitempty"`
	// Submitted is when the upload began: a callback can overtake its answer.
	Submitted time.Time `json:"submitted"`
}

// Event returns the submitted event of a job that the platform has made.
func (s Submission) Event(c Created) (job.Event, error) {
	s.Job = c.ID
	data, err := json.Marshal(s)
	if err != nil {
		return job.Event{}, fmt.Errorf("describing the submission of job %s: %w", c.ID, err)
	}
	return job.Event{
		Kind: job.Submitted, Source: s.Source, Time: s.Submitted, Evidence: job.ByUs, Data: data,
		Job: job.View{
			ID: c.ID, Status: c.Status, Object: s.Object, Direction: s.Direction,
			Instance: c.InstanceID, Payload: s.Payload, Submission: s.ID,
		},
	}, nil
}
