// Package job is the vocabulary of the program: job ids, statuses, results,
// subjects and events, and the reading of bytes from the platform into them.
//
// It decides what a notification means and what an event looks like on the wire.
// It does no input or output, reads no clock, imports the standard library only,
// and never decides whether bytes can be trusted: that is verify's question and
// is answered before this package sees them.
//
// OC: contract sections 5 and 6, read 2026-11-23.
package job

import (
	"slices"
	"strings"
)

// Kind is what an event says about a job. It is the last token of the subject.
type Kind string

// The kinds of event. Submitted, Finished, Overdue, Lost and Errors exist at most
// once for a job; Progress and Conflict once for each distinct status; Unrecognised
// once for each body.
const (
	// Submitted: we handed the job to the platform.
	Submitted Kind = "submitted"
	// Progress: the job has a status that is not terminal, or one we do not know.
	Progress Kind = "progress"
	// Finished: the job has reached its end; Result says how.
	Finished Kind = "finished"
	// Overdue: the job should have ended by now and has not.
	Overdue Kind = "overdue"
	// Lost: after everything the platform might still know of the job's end was gone,
	// we stopped asking. A callback can still end it.
	Lost Kind = "lost"
	// Conflict: after Finished, authentic word of another outcome arrived.
	Conflict Kind = "conflict"
	// Errors: the texts of the rows that failed.
	Errors Kind = "errors"
	// Unrecognised: authentic bytes that are no job notification.
	Unrecognised Kind = "unrecognised"
)

// Kinds are all kinds of event.
var Kinds = []Kind{Submitted, Progress, Finished, Overdue, Lost, Conflict, Errors, Unrecognised}

func (k Kind) valid() bool { return slices.Contains(Kinds, k) }

// Result is how a finished job ended.
type Result string

// The results of a finished job.
const (
	// Succeeded: it ran to its end, and nothing says that a row failed.
	Succeeded Result = "succeeded"
	// Partial: the job ran to its end, but some rows failed, or it warned or named an error.
	Partial Result = "partial"
	// Failed: the platform or the vendor gave up, or every row failed.
	Failed Result = "failed"
	// Cancelled: somebody cancelled it.
	Cancelled Result = "cancelled"
	// Undecided: it ended, and what the platform says of how cannot be read as one meaning: a
	// count that is none, or statuses that disagree. It is never success; the platform is asked.
	Undecided Result = "unknown"
)

// Results are all results of a finished job.
var Results = []Result{Succeeded, Partial, Failed, Cancelled, Undecided}

// Class is what a status word means for the life of a job.
type Class int

// The classes of a status.
const (
	// Unknown: a word that the contract does not list; never taken for an end.
	Unknown Class = iota
	// Running: the job is not over.
	Running
	// Success: the job ran to its end; rows may still have failed.
	Success
	// Warning: the job ran to its end with reservations.
	Warning
	// Failure: the job was given up.
	Failure
	// Cancellation: the job was cancelled.
	Cancellation
)

// Terminal reports whether the job is over.
func (c Class) Terminal() bool { return c >= Success }

// statuses holds every word of the vendor's vocabulary with the one word for it and its spellings.
//
// OC: section 5.2, (a) rows 11 to 14, (b) row 26.
var statuses = map[string]struct {
	canonical string
	class     Class
}{
	"CREATED":              {"CREATED", Running},
	"STARTED":              {"STARTED", Running},
	"RUNNING":              {"RUNNING", Running},
	"SCHEDULED":            {"SCHEDULED", Running},
	"INITIATED":            {"INITIATED", Running},
	"CANCELLATION_PENDING": {"CANCELLATION_PENDING", Running},
	"COMPLETED":            {"COMPLETED", Success},
	"COMPLETE":             {"COMPLETED", Success},
	"SUCCESS":              {"COMPLETED", Success},
	"WARNING":              {"WARNING", Warning},
	"ABORTED":              {"ABORTED", Failure},
	"ERROR":                {"ERROR", Failure},
	"CANCELLED":            {"CANCELLED", Cancellation},
	"CANCELED":             {"CANCELLED", Cancellation},
}

// Classify returns the class of a status word, whatever its case and the white
// space around it, and its canonical spelling: one word for all spellings of one
// thing. An unknown word is its own canonical spelling, in upper case.
//
// OC: (b) rows 2 and 3.
func Classify(status string) (Class, string) {
	word := strings.TrimSpace(status)
	// One that changes its length has letters whose upper case is one of ASCII, such as the long s.
	if upper := strings.ToUpper(word); len(upper) == len(word) {
		word = upper
	}
	if s, ok := statuses[word]; ok {
		return s.class, s.canonical
	}
	return Unknown, word
}
