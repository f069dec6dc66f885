package keyusage

import (
	"time"

	"receiver/internal/job"
)

// Reception is how the callbacks of one source were received, by all replicas.
type Reception struct {
	// Accepted is when the last one was answered 2xx that is still in the streams, and
	// Job what it was about; zero and empty if there is none.
	Accepted time.Time `json:"last_accepted,omitzero"`
	Job      string    `json:"last_job,omitempty"`
	// Refused counts those that were refused since then, by reason.
	Refused map[string]int `json:"refused_since,omitempty"`
}

// Receptions says how each source's callbacks were received. It is filled by Add, in the
// order of time.
type Receptions map[string]*Reception

// Add counts one callback.
func (r Receptions) Add(a job.Arrival) {
	s := r[a.Source]
	if s == nil {
		s = &Reception{}
		r[a.Source] = s
	}
	if a.Accepted() {
		*s = Reception{Accepted: a.Received, Job: a.Job}
		return
	}
	if s.Refused == nil {
		s.Refused = map[string]int{}
	}
	s.Refused[a.Verdict]++
}
