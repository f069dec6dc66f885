package doctor

import (
	"fmt"
	"strings"
	"time"
)

// Stream is what one of our streams is like.
type Stream struct {
	Name string
	// Events is true for the stream whose messages the receiver promises to keep.
	Events bool
	// Missing streams have no other facts.
	Missing            bool
	Memory, DiscardNew bool
	Replicas           int
	// MaxAge is how long messages are kept; 0 is for ever.
	MaxAge time.Duration
	// Messages and Bytes are what it holds.
	Messages, Bytes uint64
	// Lost is how many messages are lost for damage to files.
	Lost int
	// Offline and Behind name servers whose copy is not up to date.
	Offline, Behind []string
	// Breaking and Other are how it differs from the configuration: ways for which no
	// receiver starts on it, and others.
	Breaking, Other []string
}

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
func Streams(streams []Stream, clustered, external bool) []Finding {
	var found []Finding
	var missing []string
	for _, s := range streams {
		if s.Missing {
			missing = append(missing, s.Name)
			continue
		}
		found = append(found, s.findings(clustered, external)...)
	}
	if len(missing) > 0 {
		found = append(found, Finding{
			Severity: Note, What: "there is no stream " + strings.Join(missing, ", ") + " yet", Why: "`receiver serve` makes what is missing",
		})
	}
	return found
}

func (s Stream) findings(clustered, external bool) []Finding {
	var found []Finding
	add := func(f Finding) { found = append(found, f) }
	if len(s.Breaking) > 0 {
		add(Finding{
			Severity: Error, What: fmt.Sprintf("no receiver starts on stream %s: %s", s.Name, strings.Join(s.Breaking, ", ")),
			Why: "uniqueness or keeping could not be promised on it", Change: "receiver streams plan",
		})
	}
	if len(s.Other) > 0 {
		add(Finding{
			Severity: Warning, What: fmt.Sprintf("stream %s is not as configured: %s", s.Name, strings.Join(s.Other, ", ")),
			Why: "a receiver uses it as it is and never changes it", Change: "receiver streams apply",
		})
	}
	if s.Lost > 0 {
		add(Finding{
			Severity: Error, What: fmt.Sprintf("stream %s has lost %d messages for damage to its files", s.Name, s.Lost),
			Why: "they are gone; their callbacks were answered 200", Change: "restore a backup beside it, and see which: `receiver audit verify`",
		})
	}
	if s.Memory {
		add(Finding{
			Severity: Error, What: "stream " + s.Name + " is kept in memory",
			Why: "all of it is gone when its servers end", Change: "copy it to disk: `receiver streams plan` says how",
		})
	}
	found = append(found, s.copies(clustered, external)...)
	if s.Events {
		add(s.age())
	}
	return found
}

// age judges how long events are kept: with its event, the memory of a job's end goes.
func (s Stream) age() Finding {
	f := Finding{
		Why: "a callback that the platform repeats after its event has gone counts as new, and makes a second event; " +
			"it repeats for 10.4 h by its page of today, and for 73 h by an older one",
		Setting: "nats.jobs_max_age", Change: "jobs_max_age: 2160h, then `receiver streams apply`",
	}
	switch {
	case s.MaxAge > 0 && s.MaxAge < shortRetry:
		f.Severity, f.What = Error, fmt.Sprintf("stream %s keeps events for %s only", s.Name, span(s.MaxAge))
	case s.MaxAge > 0 && s.MaxAge < longRetry:
		f.Severity, f.What = Warning, fmt.Sprintf("stream %s keeps events for %s only", s.Name, span(s.MaxAge))
	default:
		return Finding{What: fmt.Sprintf("stream %s: %s, %s, keeps events for %s", s.Name, s.place(), s.discard(), span(s.MaxAge))}
	}
	return f
}

func (s Stream) place() string {
	if s.Replicas == 1 {
		return "on disk, one copy"
	}
	return fmt.Sprintf("on disk, %d copies", s.Replicas)
}

func (s Stream) discard() string {
	if s.DiscardNew {
		return "refuses new messages when full"
	}
	return "drops the oldest by its limits"
}

// copies judges on how many servers the stream is.
func (s Stream) copies(clustered, external bool) []Finding {
	var found []Finding
	if len(s.Offline) > 0 {
		found = append(found, Finding{
			Severity: Warning, What: fmt.Sprintf("copies of stream %s are offline: %s", s.Name, strings.Join(s.Offline, ", ")),
			Why: "when the next server goes, there may be no majority, and every callback is answered 503", Change: "bring the server back",
		})
	}
	if len(s.Behind) > 0 {
		found = append(found, Finding{
			Severity: Note, What: fmt.Sprintf("copies of stream %s are behind: %s", s.Name, strings.Join(s.Behind, ", ")),
			Why: "until they have caught up, the loss of another server costs more than it should",
		})
	}
	f := Finding{Severity: Warning, Setting: "nats.replicas", Change: "replicas: 3, then `receiver streams apply`"}
	switch {
	case !external:
		return found
	case s.Replicas > 1 && s.Replicas%2 == 0:
		f.What = fmt.Sprintf("stream %s has %d copies", s.Name, s.Replicas)
		f.Why = "a majority is needed to store anything: an even number bears the loss of no more servers than one copy less"
	case s.Replicas == 1 && clustered:
		f.What = fmt.Sprintf("stream %s is on one server of the cluster", s.Name)
		f.Why = "while that server is away every callback is answered 503, and with its disk all is gone"
	case s.Replicas == 1 && s.Events:
		f.Severity, f.What = Note, "NATS is one server, with one copy of everything"
		f.Why, f.Setting = "while it is away every callback is answered 503, and with its disk all is gone", ""
		f.Change = "run three servers in a cluster, then replicas: 3 and `receiver streams apply`"
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
		return fmt.Sprintf("%d days", d/day)
	case d >= time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return d.Round(time.Second).String()
}
