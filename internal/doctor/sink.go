package doctor

import (
	"fmt"
	"time"

	"receiver/internal/words"
)

// Sink is how an address that events are posted to accepts them.
type Sink struct {
	Name string
	// Pending are the events that were not posted yet, Retrying the jobs whose events are posted
	// again, and GivenUp the events that are not.
	Pending           uint64
	Retrying, GivenUp int
	// Since is when the first of those was posted first, and Reason why it was not accepted.
	Since  time.Time
	Reason string
}

// Finding judges whether a sink accepts its events.
func (s Sink) Finding() Finding {
	if s.Retrying+s.GivenUp == 0 {
		return Finding{What: fmt.Sprintf("sink %s has accepted all events but %d, which come next", s.Name, s.Pending)}
	}
	return Finding{
		Severity: Warning,
		What: fmt.Sprintf("sink %s does not accept events of %s, and %s given up; since %s: %s",
			s.Name, words.Count(s.Retrying, "job"), words.Count(s.GivenUp, "event"), s.Since.UTC().Format(time.RFC3339), s.Reason),
		Why:    "an event is posted again for three days and then given up; the endpoint does not learn how these jobs end",
		Change: fmt.Sprintf("repair the endpoint, then run `receiver sinks replay %s --all`", s.Name),
	}
}
