package submit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Retries bounds how often a safe request is repeated, and how long is waited in
// between. Safe are GET and PUT (cancel) after a broken connection, a 5xx or a
// 429, and any request for which no connection could be made.
type Retries struct {
	// Tries counts the first one too; 0 means 4, 1 means never repeat.
	Tries int
	// TooMany is Tries for 429, which the platform also answers when a size or
	// time limit is passed; 0 means 3. OC: (b) row 24.
	TooMany int
	// First is the wait before the second try, doubled for each further one and
	// shortened by chance by up to half; 0 means 500 ms.
	First time.Duration
	// Max caps every wait, Retry-After included; 0 means a minute.
	Max time.Duration
}

func (r Retries) withDefaults() Retries {
	if r.Tries <= 0 {
		r.Tries = 4
	}
	if r.TooMany <= 0 {
		r.TooMany = 3
	}
	if r.First <= 0 {
		r.First = 500 * time.Millisecond
	}
	if r.Max <= 0 {
		r.Max = time.Minute
	}
	return r
}

// retry calls once until it succeeds, fails for good, has used up its tries, or
// ctx is done; ctx's error is then in the chain of what is returned.
func retry[T any](ctx context.Context, c *Client, k call, once func() (T, error)) (T, error) {
	for n := 1; ; n++ {
		v, err := once()
		if err == nil {
			return v, nil
		}
		if done := ctx.Err(); done != nil {
			return v, because(err, done)
		}
		if !c.retries.again(k, n, err) {
			if n > 1 {
				err = fmt.Errorf("%w (tried %d times)", err, n)
			}
			return v, err
		}
		if done := c.sleep(ctx, c.retries.wait(n, err)); done != nil {
			return v, because(err, done)
		}
	}
}

// because adds to err that ctx was done, unless err says so already.
func because(err, done error) error {
	if errors.Is(err, done) {
		return err
	}
	return fmt.Errorf("%w; not tried again: %w", err, done)
}

// again reports whether the n-th try of k, which ended in err, may be followed by
// another.
func (r Retries) again(k call, n int, err error) bool {
	var broken *brokenError
	if errors.As(err, &broken) {
		return n < r.Tries && (k.repeatable() || !broken.sent) && !hopeless(broken.cause)
	}
	var refused *Error
	if !errors.As(err, &refused) || !k.repeatable() {
		return false
	}
	if refused.Code == http.StatusTooManyRequests {
		return n < r.TooMany
	}
	return n < r.Tries && refused.Code >= 500
}

// hopeless reports causes that the next try would meet again.
func hopeless(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.Is(err, errRedirect) || errors.As(err, &certificate)
}

// wait is how long to wait after the n-th try ended in err.
func (r Retries) wait(n int, err error) time.Duration {
	var refused *Error
	if errors.As(err, &refused) && refused.retryAfter > 0 {
		return min(refused.retryAfter, r.Max)
	}
	d := r.First
	for i := 1; i < n && d < r.Max; i++ {
		d *= 2
	}
	d = min(d, r.Max)
	return d - rand.N(d/2+1)
}

// retryAfter reads the header of that name, in seconds or as a date; 0 when it is
// absent, past or unreadable.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
