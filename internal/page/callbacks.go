package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/auditlog"
	"receiver/internal/words"
)

// callbackVerdicts are those of callbacks, and callbackReasons those of refused and unrecognised
// ones.
var (
	callbackVerdicts = []string{"accepted", "unrecognised", "refused", "duplicate", "late", "quarantined", "unconfirmed"}
	callbackReasons  = []string{
		"missing", "ambiguous", "malformed", "unsupported_algorithm", "mismatch", "missing_token", "mismatch_token", "bad_credentials", "unknown_source",
		"wrong_path", "wrong_method", "encoded", "not_json", "trailing_data", "duplicate_key", "too_deep", "event_notification", "no_id", "no_status",
	}
)

// callbackFields is the form of the search of callbacks.
var callbackFields = []searchField{
	{Name: "since", Label: "Since", Hint: "24h, a time, or all"},
	{Name: "until", Label: "Until", Hint: "1h, or a time"},
	{Name: "verdict", Label: "Verdict", Options: searchOptions("any", callbackVerdicts)},
	{Name: "reason", Label: "Reason", Suggested: callbackReasons},
	{Name: "source", Label: "Source"},
	{Name: "job", Label: "Job", Hint: "id"},
	{Name: "address", Label: "Sender", Hint: "192.0.2.7 or a network"},
	{Name: "key", Label: "Key", Hint: "name or fingerprint"},
	{Name: "body", Label: "Body", Hint: "SHA-256, or its first digits"},
}

// searchOptions are words to choose from, after the one for none.
func searchOptions(none string, all []string) []searchOption {
	o := []searchOption{{"", none}}
	for _, w := range all {
		o = append(o, searchOption{w, w})
	}
	return o
}

// callbacksView is what the view of callbacks shows.
type callbacksView struct {
	foundRecords
	CSV, JSON string // addresses of the export of the search
}

// callbacks lists what was received and refused.
func (p *Page) callbacks(v *visit) error {
	q := v.r.URL.Query()
	q.Del("action")
	q.Del("operator")
	f, err := v.searchRecords(callbackFields, recordParams(q))
	if err != nil {
		return err
	}
	export := func(format string) string {
		return viewAddress("/callbacks/export", v.r.URL.Query(), map[string]string{"after": "", "format": format})
	}
	if f.Error != "" {
		v.status = http.StatusBadRequest
	}
	return v.show("callbacks", "Callbacks", callbacksView{f, export("csv"), export("jsonl")})
}

// The records of an export: how many at most, and how many are asked for at once.
const (
	mostExported = 100_000
	exportPage   = 1000
)

// exportCallbacks sends all that a search finds, as a file, newest first. A file that does not have
// all says so in its last line.
func (p *Page) exportCallbacks(v *visit) error {
	q := v.r.URL.Query()
	asked := recordParams(q)
	asked.After = ""
	limit := exportPage
	asked.Limit = &limit
	page, err := client.Answer[api.CallbackPage](v.api.ListCallbacks(v.r.Context(), &asked))
	if err != nil {
		return err
	}
	write, cut, err := v.recordExporter(q.Get("format"))
	if err != nil {
		return err
	}
	for n := 0; ; {
		for _, c := range page.Callbacks {
			if n == p.exported {
				return brokenOff(cut(words.Count(n, "record")))
			}
			if err := write(c); err != nil {
				return brokenOff(err)
			}
			n++
		}
		if asked.After = page.Next; page.Next == "" {
			return nil
		}
		// Each page has its own time: a reader that is slow is waited for, one that is gone is not.
		_ = http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(time.Minute))
		if page, err = client.Answer[api.CallbackPage](v.api.ListCallbacks(v.r.Context(), &asked)); err != nil {
			return brokenOff(err)
		}
	}
}

// brokenOff cuts the connection for an error.
func brokenOff(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
	}
	return nil
}

// recordExporter begins a file. It returns what writes a record, and what writes that the file ends
// after so many.
func (v *visit) recordExporter(format string) (write func(api.Callback) error, cut func(after string) error, err error) {
	const more = "the file ends after %s, and there are more: search for less, or page through GET /v1/callbacks"
	h := v.w.Header()
	h.Set("Content-Disposition", `attachment; filename="callbacks.`+format+`"`)
	switch format {
	case "csv":
		h.Set("Content-Type", "text/csv; charset=utf-8")
		c, err := auditlog.NewCSV(v.w)
		if err != nil {
			return nil, nil, brokenOff(err)
		}
		return c.Write, func(after string) error { return c.Write(api.Callback{ID: fmt.Sprintf(more, after), Size: -1}) }, nil
	case "jsonl":
		h.Set("Content-Type", "application/x-ndjson")
		lines := json.NewEncoder(v.w)
		return func(c api.Callback) error { return lines.Encode(c) }, func(after string) error {
			return lines.Encode(map[string]string{"cut": fmt.Sprintf(more, after)})
		}, nil
	}
	h.Del("Content-Disposition")
	return nil, nil, api.BadRequest.Problem("format %q is neither csv nor jsonl", format)
}
