package submit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Created is the platform's word that a job exists. OC: (a) row 9.
type Created struct {
	ID         string          `json:"id"`     // never empty
	Status     string          `json:"status"` // verbatim, "CREATED" as documented
	InstanceID string          `json:"instance_id,omitempty"`
	Raw        json.RawMessage `json:"-"` // the whole answer, as it came
}

// Query asks the platform to gather rows in the query language of the platform.
// OC: (a) row 7.
type Query struct {
	// Q is the query, as in "select * from contact". It may be empty only when
	// ContinueFromJobID is given.
	Q                 string
	From, To          string // of the rows' dates, as in "2014-10-06T13:22:17-08:00"; may be empty
	LastRunDate       string // may be empty
	ContinueFromJobID string // may be empty

	Metadata        json.RawMessage // a JSON object for the part metaData; may be nil
	CallbackPayload json.RawMessage // any JSON, which the callback brings back; may be nil
	CallbackURL     string          // told when the job has ended; may be empty
}

// Query starts a job that gathers rows, to be fetched with Result once it has
// ended. Errors are those of Upload.
func (c *Client) Query(ctx context.Context, q Query) (Created, error) {
	if q.Q == "" && q.ContinueFromJobID == "" {
		return Created{}, InputError("query is empty: give one, or the id of the job to continue from")
	}
	metadata, err := mergeMetadata(q.Metadata, q.CallbackPayload)
	if err != nil {
		return Created{}, err
	}
	k := call{method: http.MethodPost, path: c.hub + "/bulk/query", query: url.Values{}, timeout: c.timeout}
	for _, p := range []struct{ name, value string }{
		{"q", q.Q}, {"from", q.From}, {"to", q.To}, {"lastRunDate", q.LastRunDate}, {"continueFromJobId", q.ContinueFromJobID},
	} {
		if p.value != "" {
			k.query.Set(p.name, p.value)
		}
	}
	if err := k.callback(q.CallbackURL); err != nil {
		return Created{}, err
	}
	if metadata != nil {
		k.form(newForm(metadata))
	}
	return c.create(ctx, k)
}

// Download asks the platform to gather rows of an object, with filters instead of
// a query. Object and Format must be set; what is zero is left out of the request.
// OC: (a) row 8; the types are those of the vendor's OpenAPI files.
type Download struct {
	Object            string `json:"objectName"`
	Format            string `json:"format"` // "application/json", "application/jsonl" or "txt/csv" [sic]
	SelectFields      string `json:"selectFields,omitempty"`
	Where             string `json:"where,omitempty"`
	From              string `json:"from,omitempty"`
	To                string `json:"to,omitempty"`
	FilterDateField   string `json:"filterDateField,omitempty"`
	FilterNulls       bool   `json:"filterNulls,omitempty"`
	Limit             int    `json:"limit,omitempty"`
	APILimit          int    `json:"apiLimit,omitempty"`
	PageSize          int    `json:"pageSize,omitempty"`
	ContinueFromJobID int64  `json:"continueFromJobId,omitempty"`
	CallbackURL       string `json:"notificationUrl,omitempty"` // told when the job has ended
}

// Download starts a job that gathers rows, to be fetched with Result once it has
// ended. Errors are those of Upload.
func (c *Client) Download(ctx context.Context, d Download) (Created, error) {
	if d.Object == "" || d.Format == "" {
		return Created{}, InputError("download needs an object and a format")
	}
	body, err := json.Marshal(d)
	if err != nil {
		return Created{}, fmt.Errorf("writing the download request: %w", err)
	}
	return c.create(ctx, call{
		method: http.MethodPost, path: "/bulk/download", timeout: c.timeout,
		header:  http.Header{"Content-Type": {"application/json"}},
		body:    func() (io.Reader, int64) { return bytes.NewReader(body), int64(len(body)) },
		secrets: callbackSecrets(d.CallbackURL),
	})
}

// create makes k, which starts a job, and reads which.
func (c *Client) create(ctx context.Context, k call) (Created, error) {
	a, err := c.fetch(ctx, k)
	if err != nil {
		return Created{}, c.unsure(err)
	}
	f, err := object(a.body)
	v := f.View()
	made := Created{ID: v.ID, Status: v.Status, InstanceID: v.Instance, Raw: a.body}
	if err == nil && made.ID == "" {
		err = errors.New("the answer has no job id")
	}
	if err != nil {
		return Created{}, c.unsure(unreadable(k, err))
	}
	return made, nil
}

// callback has the platform call u when the job of k has ended. OC: (a) row 6.
func (k *call) callback(u string) error {
	if u == "" {
		return nil
	}
	if strings.ContainsFunc(u, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("callback URL contains a space, a line break or another character that must be escaped in a URL")
	}
	if k.header == nil {
		k.header = http.Header{}
	}
	k.header.Set("Elements-Async-Callback-Url", u)
	k.secrets = callbackSecrets(u)
	return nil
}
