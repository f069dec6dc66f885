package submit

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// The names under which the generations of the platform give one thing.
// OC: sections 5.1 and 5.4, (b) rows 1 and 2.
var (
	idNames       = []string{"id", "jobId", "job_id"}
	statusNames   = []string{"status", "jobStatus", "job_status", "bulk_status"}
	instanceNames = []string{"instanceId", "instance_id"}
)

// Status is what the platform says of a job, in whichever generation of names.
// Text that is absent is empty, a number nil, a time zero.
type Status struct {
	ID         string `json:"id"`
	Status     string `json:"status"` // verbatim; what it means is not decided here
	InstanceID string `json:"instanceId,omitempty"`
	Object     string `json:"object,omitempty"`
	Direction  string `json:"direction,omitempty"` // "UPLOAD" or "DOWNLOAD"

	// Records probably includes the rows that failed: do not derive successes from
	// the two. OC: (b) row 22.
	Records *int64 `json:"records,omitempty"`
	Failed  *int64 `json:"failed,omitempty"`

	Error       string    `json:"error,omitempty"`   // only after failure
	Message     string    `json:"message,omitempty"` // anything else it says in words
	FileFormat  string    `json:"fileFormat,omitempty"`
	VendorJobID string    `json:"vendorJobId,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	Started     time.Time `json:"started,omitzero"`
	Finished    time.Time `json:"finished,omitzero"`

	// NotificationURL is where the platform calls back. It may hold a token: show
	// it to nobody and log it never. Raw, the whole object as it came, holds it too.
	NotificationURL string          `json:"-"`
	Raw             json.RawMessage `json:"-"`
}

// Status asks after the job of that id. OC: (a) row 10.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	k, err := c.statusCall(http.MethodGet, id, "status")
	if err != nil {
		return Status{}, err
	}
	a, err := c.fetch(ctx, k)
	if err != nil {
		return Status{}, err
	}
	s, err := readStatus(a.body)
	if err == nil && s.Status == "" {
		err = errors.New("it holds no status")
	}
	if err != nil {
		return Status{}, unreadable(k, err)
	}
	return s.of(id), nil
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
	s, err := readStatus(a.body)
	if err != nil || s.Status == "" {
		// It was accepted; what is missing is only the news.
		return c.Status(ctx, id)
	}
	return s.of(id), nil
}

func (c *Client) statusCall(method, id, thing string) (call, error) {
	path, err := c.jobPath(id, thing)
	return call{method: method, path: path, timeout: c.timeout}, err
}

// of fills in the id of the job asked after: one old form of the answer has none.
func (s Status) of(id string) Status {
	if s.ID == "" {
		s.ID = id
	}
	return s
}

func readStatus(raw []byte) (Status, error) {
	f, err := object(raw)
	if err != nil {
		return Status{}, err
	}
	return Status{
		ID:              f.id(idNames...),
		Status:          f.text(statusNames...),
		InstanceID:      f.id(instanceNames...),
		Object:          f.text("object_name", "objectName"),
		Direction:       f.text("job_direction", "jobDirection"),
		Records:         f.count("recordsCount", "recordCount", "record_count", "numOfLeadsProcessed"),
		Failed:          f.count("recordsFailedCount", "errorCount", "error_count", "numOfRowsFailed"),
		Error:           f.text("error"),
		Message:         f.text("statusMessage", "message", "infoMessage"),
		FileFormat:      f.text("fileFormat"),
		VendorJobID:     f.text("vendorJobId"),
		Created:         f.time("createdDate"),
		Started:         f.time("bulk_start_time"),
		Finished:        f.time("bulk_finish_time", "completionTime", "completion_time"),
		NotificationURL: f.text("notification_url", "notificationUrl"),
		Raw:             raw,
	}, nil
}
