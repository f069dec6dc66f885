package doctor

import (
	"fmt"
	"strings"
	"time"

	"receiver/internal/publish/schema"
	"receiver/internal/words"
)

// Edge is how an edge stands to its hub.
type Edge struct {
	// Stopped is true if no receiver runs that could be asked.
	Stopped bool
	// Err is why the hub cannot be asked; nil if it was.
	Err error
	// Hub are the streams there.
	Hub []schema.StreamFacts
	// Behind is what the hub does not have yet.
	Behind []Behind
}

// Behind is what waits in one stream.
type Behind struct {
	Stream  string
	Records uint64
	// Oldest is when the first of them was stored.
	Oldest time.Time
}

// lateAfter is how long what waits while the line is up may wait.
const lateAfter = time.Minute

// Findings judges whether what is received here comes to the hub.
func (e Edge) Findings(now time.Time) []Finding {
	if e.Stopped {
		return Unseen("no receiver runs here, so there is no link to the hub")
	}
	found := e.hub()
	waits := "all records are at the hub"
	late := false
	var parts []string
	for _, b := range e.Behind {
		if b.Records > 0 {
			age := now.Sub(b.Oldest)
			parts = append(parts, fmt.Sprintf("%s of %s, the oldest waiting for %s", words.Count(b.Records, "record"), b.Stream, span(max(age, time.Second))))
			late = late || age > lateAfter
		}
	}
	if len(parts) > 0 {
		waits = "not at the hub yet: " + strings.Join(parts, ", ")
	}
	f := Finding{What: waits}
	if e.Err == nil && late {
		f.Severity, f.Why, f.Change = Warning, "the link is up, so they should be there", "see the log of `receiver serve` for the errors of the hub"
	}
	return append(found, f)
}

// hub judges the other side.
func (e Edge) hub() []Finding {
	if e.Err != nil {
		return []Finding{{
			Severity: Warning, What: fmt.Sprintf("the hub does not answer: %v", e.Err),
			Why:     "callbacks are stored here and wait; consumers at the hub get no new events",
			Setting: "nats.urls", Change: "urls: the leaf node addresses of the hub, with its credentials_file, tls and domain",
		}}
	}
	var found []Finding
	for _, s := range e.Hub {
		switch {
		case s.Missing:
			found = append(found, Finding{
				Severity: Warning, What: "the hub has no stream " + s.Name, Why: "nothing is forwarded until the stream exists",
				Change: "start a receiver with nats.mode external at the hub, or allow the edge's credentials to make it: docs/edge.md",
			})
		case len(s.Breaking) > 0:
			found = append(found, Finding{
				Severity: Error, What: fmt.Sprintf("nothing is forwarded to the hub's stream %s: %s", s.Name, strings.Join(s.Breaking, ", ")),
				Why: "it cannot guarantee that events are unique and kept", Change: "run `receiver streams plan` at the hub",
			})
		case len(s.Other) > 0:
			found = append(found, Finding{
				Severity: Note, What: fmt.Sprintf("the hub's stream %s differs from the configuration here: %s", s.Name, strings.Join(s.Other, ", ")),
				Why: "an edge uses the stream unchanged; the configuration at the hub applies",
			})
		}
	}
	if len(found) == 0 {
		found = []Finding{{What: "the hub answers, and its streams accept all records"}}
	}
	return found
}
