package callback

import (
	"encoding/json"

	"receiver/internal/job"
	"receiver/internal/verify"
)

// Mended returns the event of a refused callback if its signature verifies with one of the current
// keys, and false if it does not, or if the body was not kept. It checks only callbacks that were
// refused as verify.Mismatch: only a wrong key, corrected since, can explain that reason.
//
// The event says that it is late (job.ByReverify); it keeps the time at which the callback came.
// The token and the credentials of the request were not recorded, so they are not checked again:
// the operator who accepts the callback must know why it was refused.
func Mended(a job.Attempt, v *verify.Verifier) (job.Event, bool) {
	if a.Verdict != string(verify.Mismatch) || a.Body == nil {
		return job.Event{}, false
	}
	q := Request{
		Source: a.Source, Signatures: []string{a.Receipt.Signature}, Body: a.Body, ContentType: contentType(a.Receipt.Request),
		Remote: a.Receipt.Remote, Received: a.Receipt.Received, Headers: recorded(a.Receipt.Request),
	}
	verdict := v.Verify(q.Signatures, q.Body)
	if !verdict.Accepted() {
		return job.Event{}, false
	}
	e := event(q, &Source{Name: a.Source}, verdict.Key)
	e.Evidence = job.ByReverify
	return e, true
}

// contentType returns the media type that a recorded request claimed.
func contentType(request string) string {
	var headers map[string][]string
	if json.Unmarshal([]byte(request), &headers) != nil {
		return "" // left out for its size
	}
	if values := headers["Content-Type"]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// recorded are the headers of a request as they were recorded.
type recorded string

func (r recorded) String() string { return string(r) }
