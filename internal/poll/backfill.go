package poll

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"receiver/internal/job"
)

// Queued is one callback that the platform has given up to send and keeps.
type Queued struct {
	// ID is the platform's id of it, and Job that of the job; either may be empty.
	ID, Job string
	// Here is true if it goes to an address of the source.
	Here bool
	// Body is what it says; nil if the platform does not show it.
	Body []byte
	// Attempts is how often it was sent; nil if unknown. Created is when it was made.
	Attempts *int64
	Created  time.Time
}

// Queue is the platform's queue, and what it says of a job besides.
type Queue interface {
	// Queued gives the callbacks in the queue, those for others among them.
	Queued(ctx context.Context) iter.Seq2[Queued, error]
	// Release has all of them sent again, and returns how many the platform says that
	// are; 0 if it does not say.
	Release(ctx context.Context) (int, error)
	// Status returns the platform's answer to a question after a job, as it came.
	Status(ctx context.Context, id string) ([]byte, error)
}

// BackfillStore is the stream JOBS as Backfill uses it.
type BackfillStore interface {
	// Job returns every event of a job, in the order of the stream.
	Job(ctx context.Context, source, id string) ([]job.Stored, error)
	// Publish stores an event, acknowledged, or returns with Existed the one that was
	// there already.
	Publish(ctx context.Context, e job.Event) (job.Stored, error)
}

// Backlog says what a queued callback is to the ledger.
type Backlog string

// The outcomes for a queued callback.
const (
	// Missing: the ledger does not have what it tells.
	Missing Backlog = "missing"
	// Present: the ledger has it.
	Present Backlog = "present"
	// Differs: the ledger has another end of the job.
	Differs Backlog = "differs"
	// Foreign: it is for another receiver: not to an address of the source, and about no job that
	// was submitted here.
	Foreign Backlog = "foreign"
	// NoJob: it is for this source and tells of no job.
	NoJob Backlog = "no-job"
)

// Waiting is one queued callback compared with the ledger, and what was done about it.
type Waiting struct {
	Delivery string    `json:"delivery"`
	Job      string    `json:"job,omitempty"`
	State    Backlog   `json:"state"`
	Status   string    `json:"status,omitempty"`
	Attempts *int64    `json:"attempts,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	// Done is `redelivery` if the platform was asked to send it again, `taken` if it was made an
	// event here, `there` if another process did meanwhile; empty if nothing was.
	Done string `json:"done,omitempty"`
	// Sequence and Evidence are those of the event that tells what it tells.
	Sequence uint64       `json:"sequence,omitempty"`
	Evidence job.Evidence `json:"evidence,omitempty"`
	// Error says why it could not be taken in.
	Error string `json:"error,omitempty"`

	body     []byte
	listed   string // job that the queue says it is about, beside what it holds
	expected bool
}

// Mode is what Backfill does beyond comparing.
type Mode int

// The modes.
const (
	// Compare does nothing.
	Compare Mode = iota
	// Redeliver has the platform send its queue again, unless some of it is for others.
	Redeliver
	// RedeliverAll does so though some of it is for others.
	RedeliverAll
	// Take makes events of what is missing here, and leaves the queue as it is.
	Take
)

// Backfill brings in callbacks of one source that the platform has given up to send.
type Backfill struct {
	Source string
	Queue  Queue
	Store  BackfillStore
	Mode   Mode
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// The errors of Run; what was found is returned beside them.
var (
	// ErrOthers: part of the queue is for others. The platform sends all of it or
	// nothing, so nothing was asked of it.
	ErrOthers = errors.New("part of the platform's queue is for other receivers, and the platform can only send all of it again")
	// ErrNotTaken: some of what is missing could not be taken in; each says why.
	ErrNotTaken = errors.New("not all missing events could be created")
)

// Run compares the queue with the ledger and does what the mode says. It may be run
// again at any time: what is already there is left as it is.
func (b Backfill) Run(ctx context.Context) ([]Waiting, error) {
	var all []Waiting
	for q, err := range b.Queue.Queued(ctx) {
		if err != nil {
			return all, err
		}
		w, err := b.compare(ctx, q)
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	switch b.Mode {
	case Redeliver, RedeliverAll:
		return all, b.redeliver(ctx, all)
	case Take:
		return all, b.take(ctx, all)
	}
	return all, nil
}

func (b Backfill) compare(ctx context.Context, q Queued) (Waiting, error) {
	w := Waiting{Delivery: q.ID, Job: q.Job, Attempts: q.Attempts, Created: q.Created, State: NoJob}
	view, err := job.Read(q.Body)
	told := err == nil
	if told {
		w.Job, w.Status, w.body, w.listed = view.ID, view.Status, q.Body, q.Job
	}
	if w.Job != "" {
		events, err := b.Store.Job(ctx, b.Source, w.Job)
		if err != nil {
			return w, err
		}
		w.compare(events, view, told)
	}
	if !q.Here && !w.expected {
		return Waiting{Delivery: w.Delivery, Attempts: w.Attempts, Created: w.Created, State: Foreign}, nil
	}
	return w, nil
}

// compare compares with the events of the job. Known is false if the outcome in the callback is
// unknown; then any end of the job will do.
func (w *Waiting) compare(events []job.Stored, told job.View, known bool) {
	w.State = Missing
	for _, e := range events {
		end := e.Kind == job.Finished
		switch {
		case e.Kind == job.Submitted:
			w.expected = true
		case !end && e.Kind != job.Progress && e.Kind != job.Conflict:
		case known && e.Job.SameOutcome(told), end && !(known && told.Over()):
			w.State, w.Sequence, w.Evidence = Present, e.Sequence, e.Evidence
		case end:
			w.State, w.Sequence, w.Evidence = Differs, e.Sequence, e.Evidence
		}
	}
}

func (b Backfill) redeliver(ctx context.Context, all []Waiting) error {
	others := 0
	for _, w := range all {
		if w.State == Foreign {
			others++
		}
	}
	switch {
	case others == len(all):
		return nil // nothing of ours waits
	case others > 0 && b.Mode != RedeliverAll:
		return fmt.Errorf("%w: %d of %d", ErrOthers, others, len(all))
	}
	if _, err := b.Queue.Release(ctx); err != nil {
		return err
	}
	for i := range all {
		all[i].Done = "redelivery"
	}
	return nil
}

func (b Backfill) take(ctx context.Context, all []Waiting) error {
	failed := false
	for i := range all {
		w := &all[i]
		if w.State != Missing && w.State != Differs {
			continue
		}
		if err := b.takeIn(ctx, w); err != nil {
			w.Error, failed = err.Error(), true
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed {
		return ErrNotTaken
	}
	return nil
}

// takeIn makes an event of what a queued callback tells or, if the platform does not
// show that, of its answer to a question after the job.
func (b Backfill) takeIn(ctx context.Context, w *Waiting) error {
	if w.listed != "" && w.listed != w.Job {
		return fmt.Errorf("the platform's queue lists it for job %q, but it is about job %q: it is not used", w.listed, w.Job)
	}
	e := job.Event{
		Kind: job.Progress, Source: b.Source, Time: b.now(), Evidence: job.ByVendorQueue,
		Unexpected: !w.expected, Data: w.body,
	}
	var err error
	if e.Data == nil {
		e.Evidence = job.ByPoll
		if e.Data, err = b.Queue.Status(ctx, w.Job); err != nil {
			return err
		}
	}
	if e.Data, e.Redacted, err = job.Redact(ctx, e.Data); err != nil {
		return err
	}
	if e.Job, err = job.ReadAnswer(w.Job, e.Data); err != nil {
		return err
	}
	if e.Job.Over() {
		e.Kind = job.Finished
	}
	stored, err := job.PublishResolvingConflict(ctx, b.Store.Publish, e)
	if err != nil {
		return err
	}
	w.Done, w.Status, w.Sequence, w.Evidence = "taken", e.Job.Status, stored.Sequence, stored.Evidence
	if stored.Existed {
		w.Done = "there"
	}
	return nil
}

func (b Backfill) now() time.Time {
	if b.Now == nil {
		return time.Now()
	}
	return b.Now()
}
