package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"receiver/internal/job"
	"receiver/internal/tracing"
)

const (
	// maxAnswer is how much of an answer is read, so that its connection can be used again.
	maxAnswer = 64 << 10
	// maxRetryAfter bounds the pause that an endpoint asks for.
	maxRetryAfter = 24 * time.Hour
	// maxError is how much is kept of why a post failed.
	maxError = 200
)

// newClient returns the client of all sinks.
func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 8
	return &http.Client{Transport: tracing.Transport(t), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// refusal is why an event was not accepted.
type refusal struct {
	why string
	// after is the pause that the endpoint asked for; 0 without one.
	after time.Duration
}

// post posts an event, and returns nil if it was accepted. The error is that of a message that is
// no event.
func (s *Sinks) post(ctx context.Context, k Sink, e job.Wire) (*refusal, error) {
	body, err := job.CloudEvent(e.Header, e.Data)
	if err != nil {
		return nil, fmt.Errorf("writing the event of sequence %d: %w", e.Sequence, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.timeout)
	defer cancel()
	ctx, span := s.o.Tracer.Follow(ctx, "post to a sink", job.LookupIn(e.Header)(job.HeaderTrace))
	defer span.End(nil)
	span.Text("receiver.sink", k.Name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("posting to sink %s: its address is not valid", k.Name)
	}
	req.Header.Set("Content-Type", job.CloudEventType)
	req.Header.Set("User-Agent", s.o.UserAgent)
	sign(req.Header, k.Secrets, job.GlobalID(e.Header), time.Now(), body)
	answer, err := s.client.Do(req)
	if err != nil {
		return &refusal{why: s.reason(ctx, err)}, nil
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	if answer.StatusCode/100 == 2 {
		return nil, nil
	}
	why := "answered " + strconv.Itoa(answer.StatusCode)
	if answer.StatusCode/100 == 3 {
		why += ", a redirect, which is not followed"
	}
	return &refusal{why: why, after: retryAfter(answer.Header.Get("Retry-After"), time.Now())}, nil
}

// reason says why there was no answer, without the address, which may hold a token.
func (s *Sinks) reason(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("did not answer within %v", s.limits.timeout)
	}
	if of := (*url.Error)(nil); errors.As(err, &of) {
		err = of.Err
	}
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), maxError)], "")
}

// sign sets the headers of Standard Webhooks.
func sign(h http.Header, secrets [][]byte, id string, now time.Time, body []byte) {
	stamp := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
}

// retryAfter returns the pause that a header asks for, bounded; 0 if it asks for none.
func retryAfter(text string, now time.Time) time.Duration {
	var pause time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		pause = at.Sub(now)
	}
	return min(max(pause, 0), maxRetryAfter)
}
