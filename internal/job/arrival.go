package job

import (
	"strconv"
	"strings"
	"time"
)

// Arrival is what the headers of a message of JOBS or ATTEMPTS say of the callback
// that it came by. It is read without the body, so that whole streams can be counted.
type Arrival struct {
	// Source is the configured source, or NoSource.
	Source string
	// Verdict is the verdict on an attempt; empty for an event.
	Verdict string
	// Job is the id of the job that it was about; empty if the headers do not tell.
	Job string
	// Key and Fingerprint are those of the key that made the signature; both are empty
	// unless it verified.
	Key, Fingerprint string
	// Body is the SHA-256 of the raw body in hexadecimal.
	Body string
	// Received is when the whole body had arrived.
	Received time.Time
	// Repeats is that of the attempt.
	Repeats int
}

// Authentic reports whether a configured key had made the signature.
func (a Arrival) Authentic() bool { return a.Fingerprint != "" }

// Accepted reports whether the callback was answered 2xx; otherwise it was refused.
func (a Arrival) Accepted() bool {
	switch a.Verdict {
	case "", Duplicate, Late, Quarantined, Unconfirmed:
		return true
	}
	return false
}

// ReadArrival reads the headers of a message, and reports false for one that came by no
// callback or that this program did not write.
func ReadArrival(subject string, header map[string][]string) (Arrival, bool) {
	return ReadArrivalBy(subject, LookupIn(header))
}

// ReadArrivalBy is ReadArrival for headers of any form.
func ReadArrivalBy(subject string, get Lookup) (Arrival, bool) {
	received, err := time.Parse(time.RFC3339Nano, get(headerReceived))
	if err != nil {
		return Arrival{}, false
	}
	a := Arrival{Key: get(headerKey), Fingerprint: get(HeaderFingerprint), Body: get(HeaderBody), Received: received}
	if rest, ok := strings.CutPrefix(subject, AttemptsPrefix); ok {
		a.Source, a.Verdict, ok = strings.Cut(rest, ".")
		a.Repeats, _ = strconv.Atoi(get(headerRepeats)) // none has none
		// The id of the event that was there already begins with the job's token.
		if token, _, found := strings.Cut(get(headerEvent), "."); found && token != string(Unrecognised) {
			a.Job, _ = parseToken(token)
		}
		ours := a.Verdict == Late && !a.Authentic() // an answer to our own question
		return a, ok && !ours && (ValidSource(a.Source) || a.Source == NoSource)
	}
	source, id, kind, err := ParseSubject(subject)
	if a.Source = source; kind != Unrecognised {
		a.Job = id
	}
	return a, err == nil
}
