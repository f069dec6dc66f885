package auditlog

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"receiver/internal/plain"
)

// csvHead names the columns; they are the JSON members of Entry.
var csvHead = []string{
	"id", "received", "stored", "source", "claimed", "verdict", "reason", "kind", "job", "result", "evidence",
	"remote", "key", "fingerprint", "signature", "body_sha256", "body_size", "action", "operator",
}

// CSV writes entries as rows under a head, as RFC 4180 has it.
type CSV struct{ w *csv.Writer }

// NewCSV writes the head.
func NewCSV(w io.Writer) (*CSV, error) {
	c := &CSV{csv.NewWriter(w)}
	return c, c.write(csvHead)
}

// Write writes one entry.
func (c *CSV) Write(e Entry) error {
	row := []string{
		e.ID, stamp(e.Received), stamp(e.Stored), e.Source, e.Claimed, e.Verdict, e.Reason, e.Kind, e.Job, e.Result, e.Evidence,
		e.Remote, e.Key, e.Fingerprint, e.Signature, e.Body, strconv.FormatInt(e.Size, 10), e.What, e.Operator,
	}
	for i, cell := range row {
		row[i] = plain.Cell(cell)
	}
	row[len(row)-3] = strconv.FormatInt(e.Size, 10) // a number of ours, though -1 begins as a formula
	return c.write(row)
}

func (c *CSV) write(row []string) error {
	if err := c.w.Write(row); err != nil {
		return fmt.Errorf("writing a row: %w", err)
	}
	c.w.Flush()
	return c.w.Error()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
