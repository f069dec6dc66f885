package simulator

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// States of a delivery. OC: 6.4
const (
	stateRetry     = "retry" // due, being sent or to be sent again
	stateDelivered = "delivered"
	stateQueued    = "queued" // given up until released
)

// delivery is one callback with all its attempts. Platform.mu guards the changing fields.
type delivery struct {
	id          string
	job         *job
	body        []byte // as signed
	forged      []byte // what is sent in its place when the dials ask for a forgery
	contentType string
	webhookID   string
	first       bool // what follows in the job waits until this one was tried

	state    string
	attempts int
	created  time.Time
	last     time.Time // of the last attempt, zero before it
	tried    chan struct{}
	tryOnce  sync.Once
}

// newDelivery makes a callback due. The caller holds p.mu.
func (p *Platform) newDelivery(j *job, status string) *delivery {
	dice := p.dice()
	kinds := []string{"application/json", "application/json;charset=UTF-8", "text/plain", ""}
	d := &delivery{
		job:         j,
		body:        render(dice, j.fields(status, p.instance)),
		contentType: kinds[dice.IntN(len(kinds))],
	}
	if j.faults.Signature.Mode == "forged" {
		d.forged = render(dice, j.fields(contrary(status), p.instance))
	}
	return p.enlist(d)
}

// repeat makes the same callback due once more. The caller holds p.mu.
func (p *Platform) repeat(d *delivery) *delivery {
	return p.enlist(&delivery{job: d.job, body: d.body, forged: d.forged, contentType: d.contentType})
}

// enlist gives a callback what is its own and makes it due. The caller holds p.mu.
func (p *Platform) enlist(d *delivery) *delivery {
	d.id = strconv.Itoa(len(p.deliveries) + 1)
	d.webhookID, d.state, d.created, d.tried = rand.Text(), stateRetry, time.Now(), make(chan struct{})
	p.deliveries = append(p.deliveries, d)
	p.count(func(s *Stats) { s.Open++ })
	return d
}

// awaitTry returns when the first attempt is over, or will not be made.
func (d *delivery) awaitTry(ctx context.Context) {
	select {
	case <-d.tried:
	case <-ctx.Done():
	}
}

// deliver sends a callback until it is answered 2xx, at the spacing of the options, and queues it
// after the last attempt. It does not try a stopped address. OC: (a) row 28, 6.4
func (p *Platform) deliver(ctx context.Context, d *delivery, wait time.Duration) {
	defer d.tryOnce.Do(func() { close(d.tried) })
	if !sleep(ctx, wait) {
		return
	}
	for i := 0; ; i++ {
		if p.isStopped(d) {
			p.finishDelivery(d, stateQueued)
			return
		}
		if p.attempt(ctx, d) {
			p.finishDelivery(d, stateDelivered)
			return
		}
		d.tryOnce.Do(func() { close(d.tried) })
		if i == len(p.o.RetrySpacing) {
			p.giveUp(d)
			return
		}
		if !sleep(ctx, p.scaled(p.o.RetrySpacing[i])) {
			return
		}
	}
}

// attempt sends the callback once, writes down what came of it and reports whether the answer was
// 2xx.
func (p *Platform) attempt(ctx context.Context, d *delivery) bool {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.job.faults.Timeout, 30*time.Second))
	defer cancel()
	request, record := p.request(ctx, d)
	record.At = time.Now()
	if answer, err := p.client.Do(request); err != nil {
		record.Err = withoutURL(err)
	} else {
		record.Code = answer.StatusCode
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16)) // so that the connection serves again
		_ = answer.Body.Close()
	}
	p.mu.Lock()
	d.last = record.At
	p.log = append(p.log, record)
	p.count(func(s *Stats) { s.Attempts++ })
	p.mu.Unlock()
	// The host only: the rest of a callback address may be a secret.
	p.o.Log.Info().Str("job", record.Job).Int("attempt", record.Attempt).Str("host", request.URL.Host).
		Int("status", record.Code).AnErr("error", record.Err).Msg("callback sent")
	return record.Code >= 200 && record.Code < 300
}

// withoutURL takes the address off a client's error: it may hold a secret.
func withoutURL(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}

// request makes the next attempt of a callback. OC: (a) rows 19, 23, 29
func (p *Platform) request(ctx context.Context, d *delivery) (*http.Request, Delivery) {
	p.mu.Lock()
	d.attempts++
	record := Delivery{ID: d.id, Job: d.job.id, Attempt: d.attempts, URL: d.job.callback, WebhookID: d.webhookID}
	record.Body, record.Signature = p.signed(d)
	p.mu.Unlock()
	if !d.job.style.webhookOnce {
		record.WebhookID += "-" + strconv.Itoa(record.Attempt)
	}
	body := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(record.Body)), nil }
	r := (&http.Request{Method: http.MethodPost, URL: d.job.target, Header: http.Header{}}).WithContext(ctx)
	r.Body, _ = body()
	r.GetBody, r.ContentLength = body, int64(len(record.Body))
	if d.job.style.chunked {
		r.ContentLength = -1
	}
	r.Header.Set("User-Agent", Banner)
	r.Header.Set("Elements-Webhook-Id", record.WebhookID)
	if d.contentType != "" {
		r.Header.Set("Content-Type", d.contentType)
	}
	if record.Signature != "" {
		r.Header.Set("Elements-Webhook-Signature", record.Signature)
	}
	if p.o.BasicUser != "" {
		r.SetBasicAuth(p.o.BasicUser, p.o.BasicPassword)
	}
	return r, record
}

// signed is the body of the attempt counted last and its signature, as the dials have it. The
// caller holds p.mu.
func (p *Platform) signed(d *delivery) (body []byte, signature string) {
	fault := d.job.faults.Signature
	if fault.Attempts > 0 && d.attempts > fault.Attempts {
		fault.Mode = "right"
	}
	if fault.Mode == "wrong_key" {
		return d.body, sign(p.wrongKey, d.body)
	}
	if p.key != "" && fault.Mode != none {
		signature = sign(p.key, d.body) // without a key there is no header. OC: (a) row 27
	}
	if fault.Mode == "forged" {
		return d.forged, signature
	}
	return d.body, signature
}

// callbackClient never follows a redirect: it is an answer that is not 2xx.
func callbackClient(given *http.Client) *http.Client {
	c := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second}}
	if given != nil {
		c = *given
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
