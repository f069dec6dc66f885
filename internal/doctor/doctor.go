// Package doctor checks an installation before a problem matters: it takes plain facts, and
// functions that find some facts, and returns findings, each with the fact, why it matters and the
// line to change.
//
// It knows no configuration, no NATS and no secret, changes nothing but a file that it makes and
// removes again to measure a disk, and repairs nothing. It reports each check that it could not
// make.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Severity is how much a finding matters.
type Severity int

// The severities, the worst last.
const (
	// OK is as it should be.
	OK Severity = iota
	// Note is worth knowing, and right for some.
	Note
	// Warning is a risk that should be a decision of the operator.
	Warning
	// Error will lose or refuse something, or does already.
	Error
)

// String returns ok, note, warning or error.
func (s Severity) String() string { return [...]string{"ok", "note", "warning", "error"}[s] }

// MarshalText is String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one judgement.
type Finding struct {
	// Check is what was looked at: one word that does not change.
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	// The fact; Why it matters, which an OK may leave out.
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	// Setting is the path in the configuration of what to change; empty if it is elsewhere.
	Setting string `json:"setting,omitempty"`
	// Change is the line as it should be, or the command to run.
	Change string `json:"change,omitempty"`
}

// Check looks at one thing. Run should return when ctx is done; nothing means that there
// is nothing to say.
type Check struct {
	Name string
	Run  func(ctx context.Context) []Finding
}

// grace is how long a check may take to say what it has when its time is over.
const grace = 250 * time.Millisecond

// Run runs all checks at once and returns their findings in order. It returns soon after
// timeout: a check that hangs, as on a file system whose server is away, is left behind and
// told of in a finding.
func Run(ctx context.Context, timeout time.Duration, checks []Check) []Finding {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answers := make([]chan []Finding, len(checks))
	for i, c := range checks {
		answers[i] = make(chan []Finding, 1)
		go func() { answers[i] <- c.Run(ctx) }()
	}
	late, stop := context.WithTimeout(context.WithoutCancel(ctx), timeout+grace)
	defer stop()
	var all []Finding
	for i, c := range checks {
		for _, f := range answer(late, answers[i], timeout) {
			f.Check = cmp.Or(f.Check, c.Name)
			all = append(all, f)
		}
	}
	return all
}

// answer returns what a check says, or that it said nothing until late.
func answer(late context.Context, said <-chan []Finding, timeout time.Duration) []Finding {
	select {
	case found := <-said:
		return found
	case <-late.Done():
	}
	select {
	case found := <-said: // it was in time, and we came late for having waited for others
		return found
	default:
	}
	return []Finding{{
		Severity: Warning, What: fmt.Sprintf("not checked: it took longer than %v", timeout),
		Why: "the receiver may hang at the same place", Change: "receiver doctor --timeout 1m",
	}}
}

// Unseen is the finding that something could not be looked at.
func Unseen(why string) []Finding { return []Finding{{Severity: Note, What: "not checked: " + why}} }

// Worst returns the severity of the worst finding, OK if there is none.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, f := range findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

// Sort puts the worst findings first and otherwise keeps their order.
func Sort(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
}
