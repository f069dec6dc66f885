package submit

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

// RowError is why one row of a job failed.
type RowError struct {
	Text string          `json:"text"` // what the platform says of the row
	Raw  json.RawMessage `json:"raw"`  // the row of the listing, as it came
}

// Errors yields why rows of the job failed, page by page and in the platform's
// order, until limit rows or, when limit is 0 or less, until the last. The first
// error ends it, and so do 10,000 pages. OC: (a) row 15, (b) row 25.
func (c *Client) Errors(ctx context.Context, id string, limit int) iter.Seq2[RowError, error] {
	return func(yield func(RowError, error) bool) {
		path, err := c.jobPath(id, "errors")
		if err != nil {
			yield(RowError{}, err)
			return
		}
		k := call{method: http.MethodGet, path: path, timeout: c.timeout}
		given := 0
		for page, err := range c.pages(ctx, k) {
			var rows []RowError
			if err == nil {
				rows, err = readRowErrors(k, page)
			}
			if err != nil {
				yield(RowError{}, err)
				return
			}
			for _, row := range rows {
				if given++; !yield(row, nil) || given == limit {
					return
				}
			}
		}
	}
}

// readRowErrors takes both kinds of row: text, and an object with the text in it.
func readRowErrors(k call, page []byte) ([]RowError, error) {
	raws, err := array(page)
	if err != nil {
		return nil, unreadable(k, err)
	}
	rows := make([]RowError, 0, len(raws))
	for _, raw := range raws {
		row := RowError{Text: text(raw), Raw: raw}
		if f, err := object(raw); err == nil {
			if said := f.Text("status", "message", "error"); said != "" {
				row.Text = said
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}
