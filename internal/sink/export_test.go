package sink

import (
	"net/http"
	"time"
)

// Quick sets the limits of a test: short pauses, and these between tries; the rest as it is.
func (s *Sinks) Quick(pauses ...time.Duration) *Sinks {
	s.limits.look, s.limits.renew, s.limits.pauses = 5*time.Millisecond, 20*time.Millisecond, pauses
	return s
}

// Within sets how long a post may take.
func (s *Sinks) Within(timeout time.Duration) *Sinks {
	s.limits.timeout = timeout
	return s
}

// AtMost sets how many jobs may have events that were not accepted.
func (s *Sinks) AtMost(retrying int) *Sinks {
	s.limits.retrying = retrying
	return s
}

// Pauses are those of production.
func Pauses() []time.Duration { return production().pauses }

// RetryAfter is retryAfter.
var RetryAfter = retryAfter

// Sign is sign, of an empty header.
func Sign(secrets [][]byte, id string, now time.Time, body []byte) http.Header {
	h := http.Header{}
	sign(h, secrets, id, now, body)
	return h
}
