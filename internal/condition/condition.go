// Package condition decides how a receiver is, from facts about it: one sentence, a level, and what
// is wrong. Each thing that is wrong has the name of an alert of deploy/alerts.yaml, its limits and
// its severity, and begins with the words of its runbook.
//
// It is pure: Of reads no clock and asks nobody. A fact that is not known is a thing that is wrong,
// so that nothing looks well because nobody could look. Alerts that compare with what was hours ago
// are left to Prometheus.
package condition

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"receiver/internal/callback"
	"receiver/internal/runbook"
	"receiver/internal/words"
)

// Level is how grave something is.
type Level string

// The levels, the worst first.
const (
	Error   Level = "error"
	Warning Level = "warning"
	OK      Level = "ok"
)

// Facts are what is known of a receiver at one moment.
type Facts struct {
	Now, Started time.Time
	// NotReady is why no callback is accepted; nil if they are.
	NotReady error
	// Store is the state of the store in one word, `ok` if all is well.
	Store string
	// Disk is nil unless the store is embedded.
	Disk    *Disk
	Sources []Source
	// JobsUnknown says that the jobs of the sources are not known yet.
	JobsUnknown bool
	// Unsealed says that no log is kept for want of a key. Otherwise Logs are all logs.
	Unsealed     bool
	Logs         []Log
	Certificates []Certificate
	Sinks        []Sink
	// Edge is nil unless records are forwarded to a hub.
	Edge *Edge
}

// Disk is that of an embedded store.
type Disk struct {
	// Free are the bytes that may still be written; negative if unknown.
	Free int64
	// Refuses is why nothing is stored; nil if it is.
	Refuses error
}

// Source is one source.
type Source struct {
	Name     string
	Standing callback.Standing
	// Authentic is when its last authentic callback came; zero if none is known.
	Authentic time.Time
	// Overdue is how many jobs are overdue, and Lost when the last was lost; zero if none was.
	Overdue int
	Lost    time.Time
}

// Log is the log over one stream.
type Log struct {
	Stream string
	// Sealed and Unsealed are how many records are in a checkpoint and are not. Seen is when that
	// was looked at last, zero for never, and Whole when there was nothing unsealed.
	Sealed, Unsealed int64
	Seen, Whole      time.Time
	// Failed says that the last look did not succeed.
	Failed bool
	// Since is when the oldest record that is in no checkpoint was first seen; zero if all are.
	Since time.Time
	Fork  bool
	// Suspect is when a record was last sealed whose time contradicts others, or that was removed.
	Suspect time.Time
	// Faults are those that the last check of the log against its records found, which ended at
	// Checked.
	Faults  int64
	Checked time.Time
	Anchors []Anchor
}

// Anchor is a place that gets the checkpoints of a log.
type Anchor struct {
	Name string
	// Records are those of the newest checkpoint that it has, and At is when it got it; zero if it
	// got none.
	Records int64
	At      time.Time
}

// Certificate is that of a listener.
type Certificate struct {
	Listener string
	// Ends is when it ends; not after 1970 if there is none.
	Ends time.Time
}

// Sink is an address that events are posted to.
type Sink struct {
	Name string
	// Unknown is why the two numbers are not known; nil if they are.
	Unknown           error
	Retrying, GivenUp int
	// Failing is when the first of the posts failed since which none was accepted, and Failed the
	// last; zero if the last one was accepted, or there was none.
	Failing, Failed time.Time
}

// Edge is a receiver that forwards its records to a hub.
type Edge struct {
	// Unknown is why the rest is not known; nil if it is.
	Unknown error
	Up      bool
	Behind  []Behind
}

// Behind is how far the hub is behind in one stream.
type Behind struct {
	Stream  string
	Records uint64
	// Oldest is when the first of the records was stored.
	Oldest time.Time
}

// Status is how a receiver is.
type Status struct {
	Level Level `json:"level"`
	// Text is one sentence about the worst condition, or some about what goes on if there is none.
	Text string `json:"text"`
	// Ready says that a callback that comes now is accepted.
	Ready         bool       `json:"ready"`
	LastAuthentic *Authentic `json:"last_authentic,omitempty"`
	// NATS is the state of the store in one word.
	NATS string `json:"nats"`
	// SealedAt is when the log that is furthest behind was last seen whole; zero if none is kept.
	SealedAt time.Time `json:"sealed_at,omitzero"`
	// Unsealed are the records of all logs that are in no checkpoint.
	Unsealed int64 `json:"unsealed"`
	// DiskFree are the bytes that an embedded store may still write; nil if there is none, or the
	// number is not known.
	DiskFree   *int64      `json:"disk_free,omitempty"`
	Conditions []Condition `json:"conditions"`
}

// Authentic is an authentic callback.
type Authentic struct {
	Source string    `json:"source"`
	Time   time.Time `json:"time"`
}

// Condition is something that is wrong.
type Condition struct {
	// Name is that of its alert and runbook.
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	// Since is when it began; zero if that is not known.
	Since time.Time `json:"since,omitzero"`
	// Source is the source that it is about; empty for all.
	Source string `json:"source,omitempty"`
}

// Of says how a receiver is by the facts.
func Of(f Facts) Status {
	s := Status{Ready: f.NotReady == nil, NATS: f.Store, Conditions: []Condition{}}
	for _, rule := range []func(Facts) []Condition{ofStore, ofSources, ofLogs, ofCertificates, ofSinks, ofEdge, ofJobs} {
		s.Conditions = append(s.Conditions, rule(f)...)
	}
	slices.SortStableFunc(s.Conditions, func(a, b Condition) int { return cmp.Compare(a.Level, b.Level) }) // error comes before warning
	for _, source := range f.Sources {
		if !source.Authentic.IsZero() && (s.LastAuthentic == nil || source.Authentic.After(s.LastAuthentic.Time)) {
			s.LastAuthentic = &Authentic{source.Name, source.Authentic}
		}
	}
	for i, l := range f.Logs {
		s.Unsealed += l.Unsealed
		if i == 0 || l.Whole.Before(s.SealedAt) {
			s.SealedAt = l.Whole
		}
	}
	if f.Disk != nil && f.Disk.Free >= 0 {
		s.DiskFree = &f.Disk.Free
	}
	if len(s.Conditions) > 0 {
		s.Level, s.Text = s.Conditions[0].Level, s.Conditions[0].Text
		return s
	}
	s.Level, s.Text = OK, s.well(f.Now)
	return s
}

// well says what goes on while nothing is wrong.
func (s Status) well(now time.Time) string {
	last := "No authentic callback is known yet."
	if a := s.LastAuthentic; a != nil {
		last = fmt.Sprintf("Last authentic callback %s (%s).", ago(now, a.Time), a.Source)
	}
	parts := []string{"NATS " + s.NATS}
	if !s.SealedAt.IsZero() {
		parts = append(parts, "sealed "+ago(now, s.SealedAt))
	}
	if s.DiskFree != nil {
		parts = append(parts, "disk "+words.Bytes(*s.DiskFree)+" free")
	}
	return "Receiving. " + last + " " + strings.Join(parts, ", ") + "."
}

// skew is how far clocks of one receiver and its store may differ without a word.
const skew = time.Minute

// ago says how long ago a time was, or that a clock was set back since.
func ago(now, t time.Time) string {
	if ahead := t.Sub(now); ahead > skew {
		return words.Length(ahead) + " in the future: a clock was wrong"
	}
	return words.Length(max(now.Sub(t), 0)) + " ago"
}

// of returns a condition: the first sentence of its runbook, and the figures of now.
func of(name string, level Level, figures string, args ...any) Condition {
	return Condition{Name: name, Level: level, Text: runbook.Meaning(name) + ": " + fmt.Sprintf(figures, args...) + "."}
}

// at returns a condition with when it began.
func (c Condition) at(since time.Time) Condition {
	c.Since = since
	return c
}

// by returns a condition of a source.
func (c Condition) by(source string) Condition {
	c.Source = source
	return c
}
