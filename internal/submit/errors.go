package submit

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"receiver/internal/job"
)

var (
	// ErrUnauthorized is in the chain when the platform answered 401 or 403: the
	// element or user secret is wrong, or may not do this.
	ErrUnauthorized = errors.New("the platform refuses the secrets of this source; check element_token and user_secret")

	// ErrNotFound is in the chain when the platform answered 404: it knows no such
	// job or object, or has forgotten it (files live three days at most).
	ErrNotFound = errors.New("the platform does not find this name")

	// ErrTooMany is in the chain when the platform answered 429 to the last try
	// allowed: too many requests, or a limit of size or time was passed, in which
	// case trying again is of no use. OC: section 1.4, (b) row 24.
	ErrTooMany = errors.New("the platform refuses the request: too many requests, or a size or time limit is exceeded")

	// ErrMayExist is in the chain when a POST was sent, in whole or part, and it is
	// not known what became of it. It was not repeated. Look for the job in Jobs
	// before sending it again.
	ErrMayExist = errors.New("the job may exist nevertheless")

	// ErrOtherJob is in the chain when the platform's answer about a job is about another
	// one. Nothing of it is believed.
	ErrOtherJob = errors.New("the platform answered for another job")

	// errAnswer marks a 2xx that cannot be made sense of.
	errAnswer = errors.New("the platform's answer is not in a documented form")
)

// InputError says what is wrong with what a caller gave. Nothing was sent.
type InputError string

// Error implements error.
func (e InputError) Error() string { return string(e) }

// Error is an answer of the platform that is not 2xx. OC: (a) row 3.
type Error struct {
	Method, Path string // Path is below the base URL and without the query
	Code         int    // the HTTP status
	RequestID    string // the platform's, for its support; may be empty
	Message      string // the platform's own words; may be empty
	// ProviderMessage is what the service behind the platform said; may be empty.
	ProviderMessage string
	// Body is the beginning of an answer that is in no documented form, with
	// unprintable characters escaped; empty when Message or ProviderMessage is not.
	Body string

	retryAfter time.Duration
}

// Error names the refusing side, the request and the reason, in one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d %s", e.Method, e.Path, e.Code, http.StatusText(e.Code))
	for _, part := range []struct{ before, text string }{
		{": ", e.Message}, {": the provider says: ", e.ProviderMessage}, {": ", e.Body}, {" (request id ", e.RequestID},
	} {
		if part.text != "" {
			b.WriteString(part.before + part.text)
		}
	}
	if e.RequestID != "" {
		b.WriteString(")")
	}
	if s := e.sentinel(); s != nil {
		b.WriteString("; " + s.Error())
	}
	return b.String()
}

// Is makes errors.Is find the sentinel of the status.
func (e *Error) Is(target error) bool { return target == e.sentinel() }

func (e *Error) sentinel() error {
	switch e.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrUnauthorized
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusTooManyRequests:
		return ErrTooMany
	}
	return nil
}

// refused turns an answer that is not 2xx into an *Error.
func (c *Client) refused(k call, resp *http.Response) *Error {
	clean := c.cleaner(k)
	e := &Error{
		Method: k.method, Path: k.path, Code: resp.StatusCode,
		retryAfter: retryAfter(resp.Header.Get("Retry-After"), c.now()),
	}
	if where, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		e.Message = "redirected to " + clean(origin(where)) + ", and redirects are not followed; check the base URL"
		return e
	}
	// An incomplete body is still shown.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var said struct{ RequestID, Message, ProviderMessage string }
	// Key names are matched whatever their case: the prose of the platform's
	// documentation writes ProviderMessage, its samples providerMessage. A value of
	// another type than text leaves its field empty.
	_ = json.Unmarshal(job.WithoutMark(body), &said)
	e.RequestID, e.Message, e.ProviderMessage = clean(said.RequestID), clean(said.Message), clean(said.ProviderMessage)
	if e.Message == "" && e.ProviderMessage == "" {
		e.Body = clean(string(body))
	}
	return e
}

// brokenError is a request that got no answer, or only part of one.
type brokenError struct {
	text  string
	sent  bool // a byte of the request may have reached the platform
	cause error
}

func (e *brokenError) Error() string { return e.text }
func (e *brokenError) Unwrap() error { return e.cause }

func (c *Client) broken(k call, sent bool, cause error) error {
	// *url.Error would show the query.
	var shown *url.Error
	if errors.As(cause, &shown) {
		cause = shown.Err
	}
	return &brokenError{k.method + " " + k.path + ": " + c.cleaner(k)(cause.Error()) + c.certificateHint(cause), sent, cause}
}

// certificateHint says what to do about a certificate that is not believed.
func (c *Client) certificateHint(cause error) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(cause, &unknown) && c.ownRoots:
		return "; sources." + c.source + ".tls.ca_file replaces the system's authorities and does not contain this one: add its certificate (PEM) to the file, or remove the setting if the authority is public"
	case errors.As(cause, &unknown):
		return "; if that authority is yours or your proxy's, name a PEM file with its certificate in sources." + c.source + ".tls.ca_file, or in the environment variable SSL_CERT_FILE"
	case errors.As(cause, &host):
		return "; the certificate is for another host: check the host of base_url, and whether a proxy answers in its place"
	case errors.As(cause, &invalid) && invalid.Reason == x509.Expired:
		return "; check the clock of this machine; if it is right, the certificate must be renewed"
	}
	return ""
}

// unreadable is a 2xx that cannot be used, because of why.
func unreadable(k call, why error) error {
	if errors.Is(why, ErrOtherJob) {
		return fmt.Errorf("%s %s: %w", k.method, k.path, why)
	}
	return fmt.Errorf("%s %s: %w: %w", k.method, k.path, errAnswer, why)
}

// unsure adds ErrMayExist to the error of a POST after which a job may exist.
func (c *Client) unsure(err error) error {
	var broken *brokenError
	var refused *Error
	switch {
	case errors.As(err, &broken) && broken.sent, errors.Is(err, errAnswer):
	// A request that failed at the platform, or at a gateway before it, may have created the job.
	// So may one whose answer is elsewhere.
	case errors.As(err, &refused) && (refused.Code >= http.StatusInternalServerError || seeElsewhere(refused.Code)):
	default:
		return err
	}
	return fmt.Errorf("%w; %w: before sending it again, look for it with `receiver jobs find --source %s` (GET /bulk/jobs)",
		err, ErrMayExist, c.source)
}

// seeElsewhere reports whether a request may have been processed, and the answer is elsewhere.
func seeElsewhere(code int) bool {
	return code == http.StatusMovedPermanently || code == http.StatusFound || code == http.StatusSeeOther
}

// Answered reports whether an error is an answer of the platform, and not a lack of one.
func Answered(err error) bool {
	var refused *Error
	return errors.As(err, &refused) || errors.Is(err, errAnswer)
}
