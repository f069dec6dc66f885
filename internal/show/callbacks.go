package show

import (
	"errors"
	"fmt"
	"io"
	"time"

	"receiver/internal/auditlog"
	"receiver/internal/plain"
	"receiver/internal/service/records"
	"receiver/internal/words"
)

// Callbacks prints entries of the audit log in one of the forms table, json, ocsf and csv. End is
// called after the last.
type Callbacks struct {
	Add func(auditlog.Entry) error
	End func() error
}

// NewCallbacks begins to print entries. Program is the version of this program, for ocsf.
func NewCallbacks(out io.Writer, form, program string) (Callbacks, error) {
	nothing := func() error { return nil }
	switch form {
	case "json":
		return Callbacks{func(e auditlog.Entry) error { return plain.WriteJSON(out, e) }, nothing}, nil
	case "ocsf":
		return Callbacks{func(e auditlog.Entry) error { return plain.WriteJSON(out, auditlog.ToOCSF(e, program)) }, nothing}, nil
	case "csv":
		c, err := auditlog.NewCSV(out)
		if err != nil {
			return Callbacks{}, err
		}
		return Callbacks{c.Write, nothing}, nil
	}
	var all []auditlog.Entry
	return Callbacks{
		func(e auditlog.Entry) error { all = append(all, e); return nil },
		func() error { return Entries(out, all) },
	}, nil
}

// LeftOut says what a list of entries left out; that is no part of the list.
func (p Printer) LeftOut(l records.Left) {
	if l.Stopped > 0 {
		p.Say("stopped after %s, as --limit says; there may be more", words.Count(l.Stopped, "line"))
	}
	if l.Records > 0 {
		p.Say("older records are not listed: %d since %s; --since all reads them, too", l.Records, l.Since.Format(time.RFC3339))
	}
}

// Entries prints a table of entries.
func Entries(out io.Writer, all []auditlog.Entry) error {
	rows := make([][]string, 0, len(all))
	for _, e := range all {
		rows = append(rows, entryRow(e))
	}
	return plain.Table(out, []string{"ID", "RECEIVED", "SOURCE", "VERDICT", "REASON", "JOB", "REMOTE", "KEY", "BODY"}, rows)
}

func entryRow(e auditlog.Entry) []string {
	source, job := e.Source, e.Job
	if e.Claimed != "" {
		source += " (" + e.Claimed + ")"
	}
	if e.Verdict == auditlog.Action {
		source, job = e.Operator, e.What
	}
	received := "-"
	if !e.Received.IsZero() {
		received = e.Received.Format(time.RFC3339)
	}
	return []string{
		e.ID, received, shown(source), shown(e.Verdict), shown(e.Reason), shown(job), shown(e.Remote), shown(e.Fingerprint),
		shown(e.Body[:min(len(e.Body), 8)]),
	}
}

// Callback prints one record with everything about it; raw prints its body only, byte for byte.
func (p Printer) Callback(d *auditlog.Detail, raw bool) error {
	switch {
	case raw && d.Encrypted != "":
		return errors.New(d.Encrypted)
	case raw && !d.BodyKept:
		return fmt.Errorf("%s: there is no body: %s", d.ID, d.NotKept())
	case raw:
		_, err := p.Out.Write(d.Raw)
		return err
	case p.JSON:
		return plain.WriteJSON(p.Out, d)
	}
	return d.Write(p.Out)
}
