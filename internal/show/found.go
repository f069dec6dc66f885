package show

import (
	"cmp"
	"fmt"

	"receiver/internal/plain"
	"receiver/internal/poll"
	"receiver/internal/submit"
)

// Waiting prints what waits at the platform.
func (p Printer) Waiting(found []poll.Waiting) error {
	if p.JSON {
		if found == nil {
			found = []poll.Waiting{}
		}
		return plain.WriteJSON(p.Out, found)
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(p.Out, "the platform's queue is empty")
		return err
	}
	rows := make([][]string, 0, len(found))
	for _, w := range found {
		what := w.Done
		if w.Error != "" {
			what = w.Error
		}
		rows = append(rows, []string{
			w.Delivery, cmp.Or(w.Job, "-"), cmp.Or(w.Status, "-"), Moment(w.Created), Number(w.Attempts), string(w.State),
			cmp.Or(string(w.Evidence), "-"), sequence(w.Sequence), cmp.Or(what, "-"),
		})
	}
	return plain.Table(p.Out, []string{"DELIVERY", "JOB", "STATUS", "CREATED", "ATTEMPTS", "HERE", "EVIDENCE", "SEQ", "DONE"}, rows)
}

func sequence(n uint64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// Found prints jobs that were found at the platform.
func (p Printer) Found(found []submit.Found) error {
	rows := make([][]string, 0, len(found))
	for _, f := range found {
		state := "not known here"
		switch {
		case f.Known:
			state = "known"
		case f.Adopted:
			state = "adopted"
		}
		rows = append(rows, []string{f.Job, f.Object, f.Status, state})
	}
	if len(rows) == 0 && !p.JSON {
		_, err := fmt.Fprintln(p.Out, "the platform lists no job with a callback address of this receiver")
		return err
	}
	return p.Table(found, []string{"JOB", "OBJECT", "STATUS", "HERE"}, rows)
}
