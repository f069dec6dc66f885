package submit

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options say which instance of the platform to talk to, and how.
type Options struct {
	// BaseURL ends in "/elements/api-v2" on every known host. Must be set; https,
	// or http on a loopback host. OC: (a) row 1, (b) row 27.
	BaseURL string
	// Hub is put before the paths of objects and jobs as "/hubs/{hub}". Empty
	// leaves it out, which the platform answers alike.
	Hub string
	// Source is the configured name of this instance; it appears in hints only.
	Source string

	// Element and User are the secrets of the instance and must be set;
	// Organization is left out when empty. Printable ASCII without space or comma.
	Element, User, Organization string

	// Timeout bounds one try of a request that streams nothing; 0 means 30 s.
	Timeout time.Duration
	// UploadTimeout bounds one upload, and one download of a result, from first
	// byte to last; 0 means an hour, the platform's own limit.
	UploadTimeout time.Duration

	// Authorities are PEM certificates that are believed instead of the system's; empty
	// means the system's.
	Authorities []byte

	// Around wraps each transport of the HTTP client; nil leaves it as it is.
	Around func(http.RoundTripper) http.RoundTripper
	// UserAgent is sent with every request; empty means "receiver".
	UserAgent string
	// Retries bounds the repetition of what is safe to repeat.
	Retries Retries

	// Sleep waits for d or until ctx is done, and then returns ctx's error. Nil
	// means real time, as for Now. Both are there for tests.
	Sleep func(ctx context.Context, d time.Duration) error
	Now   func() time.Time
}

// String names the instance without its secrets.
func (o Options) String() string {
	return fmt.Sprintf("submit.Options{Source: %q, Hub: %q, secrets hidden}", o.Source, o.Hub)
}

// GoString is String, so that %#v hides the secrets too.
func (o Options) GoString() string { return o.String() }

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.UploadTimeout == 0 {
		o.UploadTimeout = time.Hour
	}
	if o.UserAgent == "" {
		o.UserAgent = "receiver"
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Retries = o.Retries.withDefaults()
	return o
}

// check returns the base URL, or all faults at once.
func (o Options) check() (*url.URL, error) {
	base, err := baseURL(o.BaseURL)
	faults := []error{err}
	if o.Element == "" {
		faults = append(faults, errors.New("element secret is missing: set the element token of the connector instance"))
	}
	if o.User == "" {
		faults = append(faults, errors.New("user secret is missing: set the user secret of the account"))
	}
	for _, s := range []struct{ name, secret string }{{"element", o.Element}, {"user", o.User}, {"organization", o.Organization}} {
		if strings.ContainsFunc(s.secret, breaksHeader) {
			faults = append(faults, fmt.Errorf("%s secret contains a space, a comma, a line break or another character that no secret of the platform has", s.name))
		}
	}
	if strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		faults = append(faults, errors.New("user agent contains a control or non-ASCII character"))
	}
	if len(o.Authorities) > 0 && !x509.NewCertPool().AppendCertsFromPEM(o.Authorities) {
		faults = append(faults, errors.New("authorities contain no certificate (PEM)"))
	}
	if o.Hub == "." || o.Hub == ".." {
		faults = append(faults, fmt.Errorf("hub %q is not a name", o.Hub))
	}
	if o.Timeout < 0 || o.UploadTimeout < 0 {
		faults = append(faults, errors.New("timeouts must not be negative"))
	}
	return base, errors.Join(faults...)
}

// breaksHeader reports what could end one "Name value" pair and start another.
func breaksHeader(r rune) bool { return r <= ' ' || r > '~' || r == ',' }

func baseURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, errors.New("base URL is missing: it is the platform's host followed by /elements/api-v2")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("base URL is not a URL") // err repeats it, with what may be a password
	case u.Host == "" || u.Opaque != "":
		return nil, errors.New("base URL has no host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("base URL of %s must not contain a user, query or fragment", u.Host)
	case !trusted(u):
		return nil, fmt.Errorf("base URL of %s must be https (http is only for loopback)", u.Host)
	}
	return u, nil
}

// trusted reports whether secrets and rows may travel to u.
func trusted(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	host := u.Hostname()
	return u.Scheme == "http" && (strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback())
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
