package auditlog

import (
	"fmt"

	"receiver/internal/audit"
	"receiver/internal/job"
)

// Event is the verdict on an entry that tells of no callback and no action: an event that this
// program made itself, such as one that it polled the platform for.
const Event = "event"

// ReadAny is Read for every record: one that tells of no callback and no action is an Event, as
// far as its headers tell of one, without a time of receipt.
func ReadAny(r audit.Record) Entry {
	if e, ok := Read(r); ok {
		return e
	}
	e := Entry{ID: fmt.Sprintf("%s/%d", r.Stream, r.Seq), Stream: r.Stream, Sequence: r.Seq, Stored: r.Time.UTC(), Verdict: Event, Size: int64(len(r.Data))}
	claim, err := job.ReadClaim(r.Subject, r.Header)
	if err != nil {
		return e
	}
	e.Source, e.Evidence, e.Body, e.Size = claim.Source, string(claim.Evidence), claim.Body, max(claim.Size, size(r, claim.Body))
	if _, id, kind, err := job.ParseSubject(r.Subject); err == nil {
		e.Kind, e.Job, e.Result = string(kind), id, job.LookupIn(r.Header)(job.HeaderResult)
	}
	return e
}
