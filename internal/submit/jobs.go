package submit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
)

// Jobs yields the jobs the platform knows, page by page and in its order. A
// non-empty where filters them, as in "job_status='RUNNING'" (fields object_name,
// job_status, job_direction, record_count). Each keeps its NotificationURL, by
// which a job whose callback never came can be found. The first error ends it,
// and so do 10,000 pages.
//
// The path has no hub, which is how it is documented. OC: (a) row 18.
func (c *Client) Jobs(ctx context.Context, where string) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		k := call{method: http.MethodGet, path: "/bulk/jobs", query: url.Values{}, timeout: c.timeout}
		if where != "" {
			k.query.Set("where", where)
		}
		for page, err := range c.pages(ctx, k) {
			var jobs []Status
			if err == nil {
				jobs, err = readJobs(k, page)
			}
			if err != nil {
				yield(Status{}, err)
				return
			}
			for _, job := range jobs {
				if !yield(job, nil) {
					return
				}
			}
		}
	}
}

// readJobs takes a list and, because the vendor's OpenAPI files document that, a
// single job.
func readJobs(k call, page []byte) ([]Status, error) {
	rows := []json.RawMessage{page}
	if !bytes.HasPrefix(trimmed(page), []byte("{")) {
		var err error
		if rows, err = array(page); err != nil {
			return nil, unreadable(k, err)
		}
	}
	jobs := make([]Status, 0, len(rows))
	for _, row := range rows {
		job, err := readStatus(row)
		if err == nil && job.ID == "" {
			err = errors.New("a job in it has no id")
		}
		if err != nil {
			return nil, unreadable(k, err)
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}
