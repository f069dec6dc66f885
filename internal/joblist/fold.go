// Package joblist is the index of jobs: Fold says what the events of one job say together,
// and Projection lists many.
//
// The stream JOBS is the only truth here: the projection is a cache that can be thrown away
// at any moment. The package speaks neither NATS nor HTTP, asks no platform, and changes
// no event.
//
// OC: contract sections 1.4 and 5, table (a) rows 10 to 15, table (b) rows 3 to 5.
package joblist

import (
	"encoding/json"
	"slices"
	"time"

	"receiver/internal/job"
)

// State is where a job stands.
type State string

// The states. Of those that its events allow a job is in the last of this list.
const (
	// Submitted: handed to the platform, and nothing heard since.
	Submitted State = "submitted"
	// Running: a status that is not the end, or a word that we do not know.
	Running State = "running"
	// Overdue: it should have ended and has not; the platform is still being asked.
	Overdue State = "overdue"
	// Lost: the platform is not asked any more; a callback can still end it.
	Lost State = "lost"
	// Finished: it has ended; Result says how.
	Finished State = "finished"
	// Conflict: it has ended, and there is authentic word of another end, too. Result is
	// the first one's, or, where that is unknown, that of the first which is not.
	Conflict State = "conflict"
)

// Job is what the events of one job say together.
type Job struct {
	Source string `json:"source"`
	// View is the job as its most telling event has it: the end if there is one, or the
	// conflict that says how it ended where the end does not, else the last progress; what
	// that leaves out is taken from the other events.
	View  job.View `json:"job"`
	State State    `json:"state"`
	// Evidence says how we know the end; empty while there is none.
	Evidence job.Evidence `json:"evidence,omitempty"`
	// Expected is true if the job was submitted here. It can become true later: a
	// callback can overtake the answer to its submission.
	Expected bool `json:"expected"`
	// SubmittedAt, OverdueAt, LostAt and FinishedAt are the times of those events.
	SubmittedAt time.Time `json:"submitted_at,omitzero"`
	OverdueAt   time.Time `json:"overdue_at,omitzero"`
	LostAt      time.Time `json:"lost_at,omitzero"`
	FinishedAt  time.Time `json:"finished_at,omitzero"`
	// FilesUntil is when, at the latest, the job's files are gone from the platform.
	FilesUntil time.Time `json:"files_until,omitzero"`
	// Conflicts counts the other outcomes that came after the first.
	Conflicts int `json:"conflicts,omitempty"`
	// Errors describes the errors event; nil if there is none.
	Errors *ErrorsEvent `json:"errors,omitempty"`
	// First and Last are the sequences of the job's first and last event.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// History is every event, in the order of the stream.
	History []Entry `json:"history"`
	// Watch is the state of polling the platform for the job. Fold leaves it nil.
	Watch *job.Watch `json:"watch,omitempty"`
	// Due says what comes of a job without an end. Fold leaves it nil.
	Due *Due `json:"due,omitempty"`

	undecided bool // the last word on the end does not say how
}

// Entry is one event in the history of a job.
type Entry struct {
	Sequence   uint64       `json:"sequence"`
	Kind       job.Kind     `json:"kind"`
	Time       time.Time    `json:"time"`
	Status     string       `json:"status,omitempty"`
	Result     job.Result   `json:"result,omitempty"`
	Evidence   job.Evidence `json:"evidence"`
	Unexpected bool         `json:"unexpected,omitempty"`
	// Key and Remote are who signed and sent the callback, if it was one.
	Key    string `json:"key,omitempty"`
	Remote string `json:"remote,omitempty"`
}

// ErrorsEvent describes the event that holds the errors of a job's rows.
type ErrorsEvent struct {
	Sequence uint64 `json:"sequence"`
	// Count is how many errors it holds; Truncated says that there were more.
	Count     int  `json:"count"`
	Truncated bool `json:"truncated,omitempty"`
}

// Fold says what the events of one job, in the order of the stream, say together. Their
// data is needed for the number of errors only. Events of other jobs must not be among
// them. Of no events it makes the zero Job, with an empty State.
func Fold(events []job.Stored) Job {
	var j Job
	told := 0
	for _, e := range events {
		decides := decides(e.Kind, j.View.Result, e.Job.Result)
		if w := weights[e.Kind]; w >= told || decides {
			j.View, told = e.Job, max(told, w)
		}
		j.add(e)
		if decides {
			j.Evidence = e.Evidence
		}
	}
	for _, e := range slices.Backward(events) {
		j.View = filled(j.View, e.Job)
	}
	return j
}

// weights says which kind of event tells most of the job; of one kind the newest does.
var weights = map[job.Kind]int{job.Submitted: 1, job.Progress: 2, job.Finished: 3}

// decides reports whether a conflict says how a job ended of which the end said only that.
func decides(k job.Kind, known, told job.Result) bool {
	return k == job.Conflict && known == job.Undecided && told != job.Undecided
}

// Ended reports whether there is word of the job's end.
func (j Job) Ended() bool { return rank(j.State) >= rank(Finished) }

// Open are the states of a job that is being waited for: it has neither ended nor been given up.
var Open = []State{Submitted, Running, Overdue}

// Undecided reports whether the last word on the end of a job does not say how it ended.
func (j Job) Undecided() bool { return j.undecided }

func (j *Job) add(e job.Stored) {
	if j.First == 0 {
		j.Source, j.First = e.Source, e.Sequence
	}
	j.Last = e.Sequence
	j.State = later(j.State, stateOf(e.Kind))
	switch e.Kind {
	case job.Submitted:
		j.Expected, j.SubmittedAt = true, e.Time
	case job.Overdue:
		j.OverdueAt = e.Time
	case job.Lost:
		j.LostAt = e.Time
	case job.Finished:
		j.FinishedAt, j.FilesUntil, j.Evidence = e.Time, e.FilesUntil(), e.Evidence
		j.undecided = e.Job.Result == job.Undecided
	case job.Conflict:
		j.Conflicts++
		j.undecided = e.Job.Result == job.Undecided
	case job.Errors:
		j.Errors = errorsOf(e)
	}
	j.History = append(j.History, entry(e))
}

func entry(e job.Stored) Entry {
	n := Entry{
		Sequence: e.Sequence, Kind: e.Kind, Time: e.Time, Status: e.Job.Status, Result: e.Job.Result,
		Evidence: e.Evidence, Unexpected: e.Unexpected,
	}
	if e.Receipt != nil {
		n.Key, n.Remote = e.Receipt.Key, e.Receipt.Remote
	}
	return n
}

func errorsOf(e job.Stored) *ErrorsEvent {
	// Without data, or with data of another program, only the sequence is known.
	d := ErrorsEvent{}
	_ = json.Unmarshal(e.Data, &d)
	d.Sequence = e.Sequence
	return &d
}

// States are all states of a job.
var States = order[1:]

// order lists the states as a job goes through them; the first is none.
var order = []State{"", Submitted, Running, Overdue, Lost, Finished, Conflict}

func stateOf(k job.Kind) State {
	switch k {
	case job.Submitted:
		return Submitted
	case job.Overdue:
		return Overdue
	case job.Lost:
		return Lost
	case job.Finished:
		return Finished
	case job.Conflict:
		return Conflict
	}
	return Running
}

func later(a, b State) State {
	if rank(a) >= rank(b) {
		return a
	}
	return b
}

func rank(s State) int {
	for i, t := range order {
		if s == t {
			return i
		}
	}
	return 0
}

// filled returns v with what it says nothing about taken from w: what a job is, not how
// it stands.
func filled(v, w job.View) job.View {
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&v.Object, w.Object}, {&v.Direction, w.Direction}, {&v.FileFormat, w.FileFormat}, {&v.Instance, w.Instance},
		{&v.VendorJob, w.VendorJob}, {&v.Submission, w.Submission}, {&v.Started, w.Started},
	} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	if v.Payload == nil {
		v.Payload = w.Payload
	}
	return v
}
