package submit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"receiver/internal/job"
)

// Status is what the platform says of a job, in whichever generation of names.
// Text that is absent is empty, a number nil, a time zero.
type Status struct {
	ID         string     `json:"id"`
	Status     string     `json:"status"`           // verbatim, as in job.View
	Result     job.Result `json:"result,omitempty"` // what it means; empty while the job is not over
	InstanceID string     `json:"instance_id,omitempty"`
	Object     string     `json:"object,omitempty"`
	Direction  string     `json:"direction,omitempty"` // "UPLOAD" or "DOWNLOAD"

	// Records probably includes the rows that failed: do not derive successes from
	// the two. OC: (b) row 22.
	Records *int64 `json:"records,omitempty"`
	Failed  *int64 `json:"failed,omitempty"`
	Warned  *int64 `json:"warned,omitempty"` // rows with a warning

	Error       string    `json:"error,omitempty"`   // only where something failed
	Message     string    `json:"message,omitempty"` // anything else it says in words
	FileFormat  string    `json:"file_format,omitempty"`
	VendorJobID string    `json:"vendor_job_id,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	Started     time.Time `json:"started,omitzero"`
	Finished    time.Time `json:"finished,omitzero"`

	// NotificationURL is where the platform calls back. It may hold a token: never show or log it.
	// Raw, the whole object as it came, holds it too.
	NotificationURL string          `json:"-"`
	Raw             json.RawMessage `json:"-"`
}

// Status polls for the job of that id. OC: (a) row 10.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	k, err := c.statusCall(http.MethodGet, id, "status")
	if err != nil {
		return Status{}, err
	}
	a, err := c.fetch(ctx, k)
	if err != nil {
		return Status{}, err
	}
	s, err := statusOf(id, a.body)
	if err == nil && s.Status == "" {
		err = errors.New("the answer has no status")
	}
	if err != nil {
		return Status{}, unreadable(k, err)
	}
	return s, nil
}

// Cancel asks the platform to end the job of that id and returns its status, which
// may say for a while yet that the job is under way. Cancelling twice does no harm,
// so a broken request is repeated. OC: (a) row 17.
func (c *Client) Cancel(ctx context.Context, id string) (Status, error) {
	k, err := c.statusCall(http.MethodPut, id, "cancel")
	if err != nil {
		return Status{}, err
	}
	a, err := c.fetch(ctx, k)
	if err != nil {
		return Status{}, err
	}
	s, err := statusOf(id, a.body)
	if errors.Is(err, ErrOtherJob) {
		return Status{}, unreadable(k, err)
	}
	if err != nil || s.Status == "" {
		// It was accepted; what is missing is only the news.
		return c.Status(ctx, id)
	}
	return s, nil
}

func (c *Client) statusCall(method, id, thing string) (call, error) {
	path, err := c.jobPath(id, thing)
	return call{method: method, path: path, timeout: c.timeout}, err
}

// statusOf reads an answer about the job of that id. One old form of it has no id. Two ids are
// the same only if all their characters are.
func statusOf(id string, raw []byte) (Status, error) {
	f, err := object(raw)
	if err != nil {
		return Status{}, err
	}
	s := statusIn(f, raw)
	named := s.ID
	if named == "" {
		named = f.Text("id", "jobId", "job_id") // in a form that no id has
	}
	if named != "" && named != id {
		return Status{}, fmt.Errorf("%w: the request was for job %q, the answer is for job %q", ErrOtherJob, id, printable(named))
	}
	s.ID = id
	return s, nil
}

func readStatus(raw []byte) (Status, error) {
	f, err := object(raw)
	if err != nil {
		return Status{}, err
	}
	return statusIn(f, raw), nil
}

func statusIn(f job.Fields, raw []byte) Status {
	v := f.View()
	return Status{
		ID: v.ID, Status: v.Status, Result: v.Result, InstanceID: v.Instance, Object: v.Object, Direction: v.Direction,
		Records: v.Records, Failed: v.Failed, Warned: v.Warned, Error: v.Error, Message: v.Message,
		FileFormat: v.FileFormat, VendorJobID: v.VendorJob,
		Created:         f.Time("createdDate"),
		Started:         f.Time("bulk_start_time"),
		Finished:        f.Time("bulk_finish_time", "completionTime"),
		NotificationURL: f.Text("notification_url"),
		Raw:             raw,
	}
}
