package auditlog

import (
	"context"
	"fmt"
	"iter"

	"receiver/internal/audit"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// Late is a refused callback that is right by a key of today.
type Late struct {
	ID      string    `json:"id"`
	Event   job.Event `json:"-"`
	Subject string    `json:"subject"`
	Key     string    `json:"key"`
	Times   int       `json:"times"` // that the same body was refused
	// State is new; there, when an event tells the same already; or accepted.
	State    string `json:"state"`
	Sequence uint64 `json:"sequence,omitempty"`
}

// Reverifier is what refused callbacks are checked with again.
type Reverifier struct {
	// Sources are the keys of each source that is looked at, by its name.
	Sources map[string]*verify.Verifier
	// Key is the name of the one key that is looked for; empty means any.
	Key string
	// Body returns the whole body of a record; nil for one that is encrypted to others.
	Body func(audit.Record) ([]byte, error)
	// Event makes the event of an attempt that is right now. callback.Mended is one.
	Event func(job.Attempt, *verify.Verifier) (job.Event, bool)
	// On returns the events on a subject.
	On func(ctx context.Context, subject string) iter.Seq2[job.Stored, error]
}

// Find returns those of the records that are right now, each distinct body once, and of how
// many the body is encrypted to others.
func (r Reverifier) Find(ctx context.Context, records iter.Seq2[audit.Record, error]) (all []*Late, hidden int, err error) {
	seen := make(map[string]*Late)
	for record, err := range records {
		if err != nil {
			return nil, 0, err
		}
		attempt, err := r.mismatch(record)
		if err != nil {
			return nil, 0, err
		}
		if attempt.Hidden {
			hidden++
		}
		e, ok := r.Event(attempt, r.Sources[attempt.Source])
		if !ok || r.Key != "" && e.Receipt.Key != r.Key {
			continue
		}
		if first := seen[e.Source+attempt.SHA256]; first != nil {
			first.Times++
			continue
		}
		found := &Late{
			ID: fmt.Sprintf("%s/%d", record.Stream, record.Seq), Event: e, Subject: e.Subject(), Times: 1, State: "new",
			Key: e.Receipt.Key + " " + e.Receipt.Fingerprint,
		}
		seen[e.Source+attempt.SHA256] = found
		all = append(all, found)
	}
	return all, hidden, r.markThere(ctx, all)
}

// mismatch reads a callback that was refused as mismatch at one of the sources; any other
// record is the zero attempt.
func (r Reverifier) mismatch(record audit.Record) (job.Attempt, error) {
	attempt, err := job.ParseAttempt(record.Subject, record.Header, nil)
	if err != nil || attempt.Verdict != string(verify.Mismatch) || r.Sources[attempt.Source] == nil {
		return job.Attempt{}, nil
	}
	body, err := r.Body(record)
	if err != nil {
		return job.Attempt{}, err
	}
	return job.ParseAttempt(record.Subject, record.Header, body)
}

// markThere finds out which of them told nothing new.
func (r Reverifier) markThere(ctx context.Context, all []*Late) error {
	for _, l := range all {
		for there, err := range r.On(ctx, l.Subject) {
			if err != nil {
				return err
			}
			// Another outcome of the same job is news: it makes a conflict.
			same := there.Kind != job.Finished || there.Job.SameOutcome(l.Event.Job)
			if there.ID() == l.Event.ID() && same {
				l.State, l.Sequence = "there", there.Sequence
			}
		}
	}
	return nil
}

// Admit stores the events of those that are new. Record is called with their names before
// the first is stored; publish is as for job.PublishResolvingConflict.
func Admit(ctx context.Context, found []*Late, record func(ids []string) error, publish func(context.Context, job.Event) (job.Stored, error)) error {
	var ids []string
	for _, l := range found {
		if l.State == "new" {
			ids = append(ids, l.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := record(ids); err != nil {
		return err
	}
	for _, l := range found {
		if l.State != "new" {
			continue
		}
		stored, err := job.PublishResolvingConflict(ctx, publish, l.Event)
		if err != nil {
			return fmt.Errorf("%s: %w; run the command again: accepted callbacks stay, and none is accepted twice", l.ID, err)
		}
		l.State, l.Sequence, l.Subject = "accepted", stored.Sequence, stored.Subject()
		if stored.Existed {
			l.State = "there"
		}
	}
	return nil
}
