package show

import (
	"fmt"
	"io"
	"time"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/plain"
)

// date is a time of a record, and on whose word it rests.
type date struct {
	ID   string `json:"id"`
	What string `json:"what"`
	// Time is nil for a record that no witness dates.
	Time *time.Time `json:"time"`
	Word string     `json:"word"`
}

// ownEvent is the entry of an event that came by no callback.
func ownEvent(r audit.Record) auditlog.Entry {
	e := auditlog.Entry{ID: id(r), Stream: r.Stream, Sequence: r.Seq, Stored: r.Time.UTC(), Size: -1}
	if source, name, kind, err := job.ParseSubject(r.Subject); err == nil {
		e.Source, e.Job, e.Kind = source, name, string(kind)
	}
	return e
}

func id(r audit.Record) string { return fmt.Sprintf("%s/%d", r.Stream, r.Seq) }

// datesOf returns the times of a record under a checkpoint with these cosignatures. A time that
// cannot be read is left out.
func datesOf(r audit.Record, cosigned []audit.Cosignature) (all []date) {
	add := func(what string, at time.Time, word string) {
		if !at.IsZero() {
			at = at.UTC()
			all = append(all, date{id(r), what, &at, word})
		}
	}
	t, err := job.ReadDating(r.Subject, r.Header, r.Data)
	if err != nil {
		t = job.Dating{}
	}
	here := "the receiver's clock"
	if !t.Edge.IsZero() {
		here = "the edge's clock"
	}
	add("received", t.Received, here)
	if t.Received.IsZero() {
		add("happened", t.Time, here)
	}
	add("stored at the edge", t.Edge, here)
	add("stored", r.Time, "the NATS server's clock")
	for _, s := range cosigned {
		add("cosigned", s.Time, "the clock of witness "+s.Witness+": it was sealed by then")
	}
	if len(cosigned) == 0 {
		all = append(all, date{id(r), "sealed", nil, "without a witness only this receiver dates it"})
	}
	return all
}

// datesTable prints dates.
func datesTable(out io.Writer, dates []date) error {
	rows := make([][]string, 0, len(dates))
	for _, d := range dates {
		at := "-"
		if d.Time != nil {
			at = d.Time.Format(time.RFC3339Nano)
		}
		rows = append(rows, []string{d.ID, d.What, at, d.Word})
	}
	fmt.Fprintln(out) // the next write has the same error
	return plain.Table(out, []string{"ID", "DATE", "TIME", "BY"}, rows)
}
