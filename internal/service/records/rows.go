package records

import (
	"context"
	"fmt"

	"receiver/internal/job"
	"receiver/internal/plain"
	"receiver/internal/poll"
	"receiver/internal/publish"
)

// RowErrors returns the errors of rows that the errors event of a job has, or why there are none.
func RowErrors(ctx context.Context, store *publish.Store, source, id string) (rows poll.Rows, why string, err error) {
	events, err := store.Job(ctx, source, id)
	if err != nil {
		return rows, "", err
	}
	for _, e := range events {
		switch {
		case e.Kind != job.Errors:
			continue
		case e.Hidden:
			return rows, fmt.Sprintf("the stored errors of job %s are encrypted: give --identity-file, or set encryption.identity", plain.Text(id)), nil
		case e.Lost:
			return rows, fmt.Sprintf("the stored errors of job %s are lost", plain.Text(id)), nil
		}
		rows, err = poll.ParseRows(e.Data)
		return rows, "", err
	}
	return rows, fmt.Sprintf("no errors event of job %s", plain.Text(id)), nil
}
