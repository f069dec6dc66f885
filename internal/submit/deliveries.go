package submit

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"

	"receiver/internal/job"
)

// Queued is the where clause for the callbacks that the platform has given up to send
// until they are released. OC: section 6.4, its one documented example.
const Queued = "channel='webhook' and status='queued'"

// Delivery is one callback as the platform keeps account of it. Its rows are documented
// nowhere; of what is absent the text is empty, the number nil, the time zero.
type Delivery struct {
	ID     string `json:"id"`
	Status string `json:"status"` // seen: "retry", "delivered", "queued"
	// JobID is the row's, or that of the body; empty when neither names a job.
	JobID       string    `json:"job,omitempty"`
	Attempts    *int64    `json:"attempts,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`

	// Body is what the platform sends, nil when the row does not show it. It has come
	// as a value in JSON, so its bytes need not be those that are signed.
	Body []byte `json:"-"`
	// URL is where the platform sends it. It may hold a token: never show or log it. Raw, the whole
	// row as it came, holds it too.
	URL string          `json:"-"`
	Raw json.RawMessage `json:"-"`
}

// Deliveries yields the callbacks that match where, page by page and in the platform's
// order, until limit of them or, when limit is 0 or less, until the last. They are those
// of the whole account, whichever instance and address they are for. The first error
// ends it.
//
// OC: section 6.4. It is a call to the platform, not to an instance: it has no hub, and
// is documented with the User and Organization secrets (section 1.2).
func (c *Client) Deliveries(ctx context.Context, where string, limit int) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		k := c.deliveriesCall(http.MethodGet, where)
		given := 0
		for page, err := range c.pages(ctx, k) {
			var rows []Delivery
			if err == nil {
				rows, err = readDeliveries(k, page)
			}
			if err != nil {
				yield(Delivery{}, err)
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

// Release asks the platform to send the queued callbacks that match where again, and
// returns those that it says it will; none if it does not say. A callback that is not
// queued any more is left alone, so a broken request is repeated.
func (c *Client) Release(ctx context.Context, where string) ([]Delivery, error) {
	k := c.deliveriesCall(http.MethodPut, where)
	a, err := c.fetch(ctx, k)
	if err != nil {
		return nil, err
	}
	rows, err := readDeliveries(k, a.body)
	if err != nil {
		return nil, nil // it was accepted; what is missing is only the news
	}
	return rows, nil
}

func (c *Client) deliveriesCall(method, where string) call {
	return call{
		method: method, path: "/notifications/subscriptions/deliveries",
		query: url.Values{"where": {where}}, timeout: c.timeout,
	}
}

func readDeliveries(k call, page []byte) ([]Delivery, error) {
	raws, err := array(page)
	if err != nil {
		return nil, unreadable(k, err)
	}
	rows := make([]Delivery, 0, len(raws))
	for _, raw := range raws {
		f, err := object(raw)
		if err != nil {
			return nil, unreadable(k, err)
		}
		rows = append(rows, delivery(f, raw))
	}
	return rows, nil
}

func delivery(f job.Fields, raw json.RawMessage) Delivery {
	d := Delivery{
		ID:          f.ID("id", "deliveryId", "notificationId"),
		Status:      f.Text("status"),
		JobID:       f.ID("jobId", "bulkJobId"),
		Attempts:    f.Count("attempts", "attemptCount", "retryCount"),
		Created:     f.Time("createdDate", "created"),
		LastAttempt: f.Time("lastAttemptDate", "updatedDate"),
		Body:        []byte(f.Text("body", "payload", "message", "content")),
		URL:         f.Text("url", "callbackUrl", "endpoint"),
		Raw:         raw,
	}
	if len(d.Body) == 0 {
		d.Body = nil
	}
	if d.JobID == "" {
		if inner, err := object(d.Body); err == nil {
			d.JobID = inner.View().ID
		}
	}
	return d
}
