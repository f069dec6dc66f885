package joblist

import (
	"slices"
	"strings"
	"time"

	"receiver/internal/job"
)

// record is what the projection keeps of one job beside its id: 88 bytes, without pointers, so that
// the garbage collector does not go through a million of them.
type record struct {
	first, last         uint64 // sequences
	heard, changed      int64  // times of the first and the last event, in milliseconds
	submitted, finished int64  // zero if there is no such event
	records, failed     int64  // negative if unknown
	idEnd               uint32 // where the id ends in its chunk; it begins where that before ends
	source              uint32 // these four are numbers of words
	object              uint32
	status              uint32
	evidence            uint32
	state               uint8 // index into order
	told                uint8 // weight of the event that status is from
	result              uint8 // index into results
	errors              bool
}

// row is a record and the id of its job, which is not to be changed.
type row struct {
	*record
	id []byte
}

func (e row) key() key { return key{e.source, string(e.id)} }

// chunk holds the records of so many jobs, and their ids one after the other.
type chunk struct {
	records []record
	ids     []byte
}

// newChunk returns an empty chunk, with as much space for ids as the chunk before has taken.
func newChunk(before []byte) *chunk {
	return &chunk{make([]record, 0, chunkSize), make([]byte, 0, len(before)+len(before)/64)}
}

func (c *chunk) append(r record, id string) {
	c.ids = append(c.ids, id...)
	r.idEnd = uint32(len(c.ids))
	c.records = append(c.records, r)
}

func (c *chunk) at(i int) row {
	r, from := &c.records[i], uint32(0)
	if i > 0 {
		from = c.records[i-1].idEnd
	}
	return row{r, c.ids[from:r.idEnd:r.idEnd]}
}

var results = append([]job.Result{""}, job.Results...)

// at is when the job was submitted, or else first heard of.
func (r *record) at() int64 {
	if r.submitted != 0 {
		return r.submitted
	}
	return r.heard
}

// words gives each of the few names that many jobs share a number.
type words struct {
	numbers map[string]uint32
	names   []string
}

func newWords() words { return words{numbers: map[string]uint32{"": 0}, names: []string{""}} }

func (w *words) number(name string) uint32 {
	if n, ok := w.numbers[name]; ok {
		return n
	}
	n := uint32(len(w.names))
	name = strings.Clone(name) // it may be part of something large
	w.numbers[name] = n
	w.names = append(w.names, name)
	return n
}

// add folds one more event into the record, as Fold does.
func (r *record) add(e job.Brief, w *words) {
	at := e.Time.UnixMilli()
	if r.first == 0 {
		r.first, r.heard, r.records, r.failed = e.Sequence, at, -1, -1
	}
	r.last, r.changed = e.Sequence, at
	r.state = max(r.state, uint8(rank(stateOf(e.Kind))))
	weight := uint8(weights[e.Kind])
	decides := decides(e.Kind, results[r.result], e.Result)
	if weight >= r.told || decides {
		r.status, r.told = w.number(e.Status), max(r.told, weight)
		r.records, r.failed = e.Records, e.Failed
	}
	if e.Object != "" && (r.object == 0 || weight >= r.told) {
		r.object = w.number(e.Object)
	}
	if e.Kind == job.Finished || decides {
		r.result, r.evidence = uint8(max(slices.Index(results, e.Result), 0)), w.number(string(e.Evidence))
	}
	switch e.Kind {
	case job.Submitted:
		r.submitted = at
	case job.Finished:
		r.finished = at
	case job.Errors:
		r.errors = true
	}
}

// Listed is one job in a list.
type Listed struct {
	Source   string       `json:"source"`
	ID       string       `json:"id"`
	Object   string       `json:"object,omitempty"`
	State    State        `json:"state"`
	Status   string       `json:"status,omitempty"`
	Result   job.Result   `json:"result,omitempty"`
	Records  *int64       `json:"records,omitempty"`
	Failed   *int64       `json:"failed,omitempty"`
	Evidence job.Evidence `json:"evidence,omitempty"`
	// Expected is true if the job was submitted here; Errors, if the errors of its rows
	// were fetched.
	Expected bool `json:"expected"`
	Errors   bool `json:"errors,omitempty"`
	// At is when the job was submitted, or else first heard of; FinishedAt is zero until
	// it has ended, and ChangedAt is the time of its last event. They are in UTC and in
	// milliseconds.
	At         time.Time `json:"at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	ChangedAt  time.Time `json:"changed_at"`
	// First and Last are the sequences of the job's first and last event.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// Due says what comes of a job without an end. A list leaves it nil.
	Due *Due `json:"due,omitempty"`
}

// Due is what the receiver expects of a job without an end, by the schedule of its source.
type Due struct {
	// Expected is when a job takes as long as a rule, Overdue when it is or becomes overdue, and
	// Lost when the platform is no longer asked.
	Expected time.Time `json:"expected_at"`
	Overdue  time.Time `json:"overdue_at"`
	Lost     time.Time `json:"lost_at"`
	// NextPoll is when the platform is asked next; zero if that is not known.
	NextPoll time.Time `json:"next_poll,omitzero"`
}

func (p *Projection) listed(r row) Listed {
	return Listed{
		Source: p.words.names[r.source], ID: string(r.id), Object: p.words.names[r.object], Status: p.words.names[r.status],
		State: order[r.state], Result: results[r.result], Evidence: job.Evidence(p.words.names[r.evidence]),
		Records: known(r.records), Failed: known(r.failed), Expected: r.submitted != 0, Errors: r.errors,
		At: moment(r.at()), FinishedAt: moment(r.finished), ChangedAt: moment(r.changed), First: r.first, Last: r.last,
	}
}

func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
