package doctor

import (
	"fmt"
	"strings"
	"time"

	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
	"receiver/internal/words"
)

// stream is what one of our streams is like.
type stream struct{ schema.StreamFacts }

// events reports whether the receiver promises to keep the stream's messages.
func (s stream) events() bool { return s.Name == conn.JobsStream }

// How long after the first failure the platform may still repeat a callback: by its page of
// today, when the intervals are pauses, and by the older one.
//
// OC: section 6.4, (a) row 28.
const (
	shortRetry = (8 + 64 + 512 + 4096 + 32768) * time.Second
	longRetry  = 73 * time.Hour
)

// Streams judges our streams. clustered says whether they are in a cluster of servers, and
// external whether somebody else runs the server.
func Streams(streams []schema.StreamFacts, clustered, external bool) []Finding {
	var found []Finding
	var missing []string
	for _, s := range streams {
		if s.Missing {
			missing = append(missing, s.Name)
			continue
		}
		found = append(found, stream{s}.findings(clustered, external)...)
	}
	if len(missing) > 0 {
		found = append(found, Finding{
			Severity: Note, What: "missing streams: " + strings.Join(missing, ", "), Why: "`receiver serve` makes them",
		})
	}
	return found
}

func (s stream) findings(clustered, external bool) []Finding {
	var found []Finding
	add := func(f Finding) { found = append(found, f) }
	if len(s.Breaking) > 0 {
		add(Finding{
			Severity: Error, What: fmt.Sprintf("no receiver starts with stream %s: %s", s.Name, strings.Join(s.Breaking, ", ")),
			Why: "it cannot guarantee that events are unique and kept", Change: "receiver streams plan",
		})
	}
	if len(s.Other) > 0 {
		add(Finding{
			Severity: Warning, What: fmt.Sprintf("stream %s differs from the configuration: %s", s.Name, strings.Join(s.Other, ", ")),
			Why: "a receiver uses the stream unchanged", Change: "receiver streams apply",
		})
	}
	if s.Lost > 0 {
		add(Finding{
			Severity: Error, What: fmt.Sprintf("stream %s has lost %s to damaged files", s.Name, words.Count(s.Lost, "message")),
			Why: "their callbacks were answered 200", Change: "find out which: `receiver audit verify`; then restore them from a backup",
		})
	}
	if s.Memory {
		add(Finding{
			Severity: Error, What: "stream " + s.Name + " is kept in memory",
			Why: "all messages are lost when its servers stop", Change: "copy it to disk: `receiver streams plan` says how",
		})
	}
	found = append(found, s.copies(clustered, external)...)
	if s.events() {
		add(s.age())
	}
	return found
}

// age judges how long events are kept: with its event, the memory of a job's end goes.
func (s stream) age() Finding {
	f := Finding{
		Why: "a callback that the platform retries after its event was removed counts as new, and makes a second event; " +
			"the platform retries for 10.4 h by its current manual, and for 73 h by an older one",
		Setting: "nats.jobs_max_age", Change: "jobs_max_age: 2160h, then `receiver streams apply`",
	}
	switch {
	case s.MaxAge > 0 && s.MaxAge < shortRetry:
		f.Severity, f.What = Error, fmt.Sprintf("stream %s keeps events for only %s", s.Name, span(s.MaxAge))
	case s.MaxAge > 0 && s.MaxAge < longRetry:
		f.Severity, f.What = Warning, fmt.Sprintf("stream %s keeps events for only %s", s.Name, span(s.MaxAge))
	default:
		return Finding{What: fmt.Sprintf("stream %s: %s, %s, keeps events for %s", s.Name, s.place(), s.discard(), span(s.MaxAge))}
	}
	return f
}

func (s stream) place() string {
	return "on disk, " + words.Count(s.Replicas, "replica")
}

func (s stream) discard() string {
	if s.DiscardNew {
		return "refuses new messages when full"
	}
	return "removes the oldest messages at its limits"
}

// copies judges on how many servers the stream is.
func (s stream) copies(clustered, external bool) []Finding {
	var found []Finding
	if len(s.Offline) > 0 {
		found = append(found, Finding{
			Severity: Warning, What: fmt.Sprintf("replicas of stream %s are offline: %s", s.Name, strings.Join(s.Offline, ", ")),
			Why: "if another server fails, there may be no majority, and every callback is answered 503", Change: "bring the server back",
		})
	}
	if len(s.Behind) > 0 {
		found = append(found, Finding{
			Severity: Note, What: fmt.Sprintf("replicas of stream %s are behind: %s", s.Name, strings.Join(s.Behind, ", ")),
			Why: "until they have caught up, the failure of another server can stop the stream or lose messages",
		})
	}
	f := Finding{Severity: Warning, Setting: "nats.replicas", Change: "replicas: 3, then `receiver streams apply`"}
	switch {
	case !external:
		return found
	case s.Replicas > 1 && s.Replicas%2 == 0:
		f.What = fmt.Sprintf("stream %s has %s", s.Name, words.Count(s.Replicas, "replica"))
		f.Why = "a majority is needed to store a message: one replica less tolerates as many failures"
	case s.Replicas == 1 && clustered:
		f.What = fmt.Sprintf("stream %s is on one server of the cluster", s.Name)
		f.Why = "while that server is down every callback is answered 503, and if its disk fails all events are lost"
	case s.Replicas == 1 && s.events():
		f.Severity, f.What = Note, "NATS is a single server with one replica"
		f.Why, f.Setting = "while it is down every callback is answered 503, and if its disk fails all events are lost", ""
		f.Change = "run three servers in a cluster, then set replicas: 3 and run `receiver streams apply`"
	default:
		return found
	}
	return append(found, f)
}

// span shows how long something lasts, in days where there are some.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "ever"
	case d >= 3*day:
		return words.Count(d/day, "day")
	case d >= time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return d.Round(time.Second).String()
}
