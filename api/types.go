package api

import (
	"time"
	"unicode/utf8"

	"receiver/internal/callback"
	"receiver/internal/diagnose"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// SourceStatus is one source in an answer to GET /v1/sources.
type SourceStatus struct {
	Name string `json:"name"`
	// Keys are the source's keys, newest first.
	Keys []KeyStatus `json:"keys"`
	// Authentic is when its last authentic callback came, as this process or JOBS knows; zero for
	// never.
	Authentic time.Time `json:"last_authentic,omitzero"`
	// RefusedBy counts the callbacks that this process refused, by reason.
	RefusedBy map[string]int64 `json:"refused,omitempty"`
	callback.Standing
}

// Report is the answer to GET /v1/callbacks/{stream}/{sequence}/report: its bytes, their media type
// and, of a page, its Content-Security-Policy.
type Report struct {
	Data         []byte
	Type, Policy string
}

// NewExplanation returns an explanation with the members that a verdict sets.
func NewExplanation(v verify.Verdict) Explanation {
	if v.Accepted() {
		return Explanation{Accepted: true, Key: v.Key.Name(), Fingerprint: v.Key.Fingerprint(), Findings: []diagnose.Finding{}}
	}
	return Explanation{Reason: v.Reason, Findings: []diagnose.Finding{}}
}

// NewEvent returns a stored event as the API gives it.
func NewEvent(s job.Stored) Event {
	e := Event{
		Sequence: s.Sequence, Subject: s.Subject(), Source: s.Source, Kind: s.Kind, Time: s.Time, Evidence: s.Evidence, Job: s.Job,
		Headers: s.Header().Map(),
	}
	switch {
	case s.Hidden:
		e.BodyMissing = EventBodyMissingEncrypted
	case s.Lost:
		e.BodyMissing = EventBodyMissingLost
	default:
		e.setBody(s.Data)
	}
	return e
}

func (e *Event) setBody(data []byte) {
	if utf8.Valid(data) {
		e.Body = string(data)
	} else {
		e.BodyBase64 = data
	}
}
