// Package client is a client of the HTTP API. oapi-codegen makes its requests of api/openapi.yaml
// (client.gen.go); Open says whom to ask, and Answer reads what comes back.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"receiver/api"
)

// Options say which receiver is asked, and how.
type Options struct {
	// URL is the address of its private listener, such as https://receiver:8081.
	URL string
	// Token is a bearer token; empty for a receiver that needs none.
	Token string
	// Authorities are certificates in PEM that are trusted in place of the system's; nil for those.
	Authorities []byte
	// UserAgent names the program; empty for that of Go.
	UserAgent string
}

// ErrOptions is in the chain of the errors of Open.
var ErrOptions = errors.New("the receiver was not asked")

// Open returns a client. It sends nothing. A token is sent in clear text to loopback only.
func Open(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: %q is not an address such as https://receiver:8081", ErrOptions, o.URL)
	case u.Scheme == "http" && o.Token != "" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("%w: http would show the token to the network; use https, or a tunnel to localhost", ErrOptions)
	case strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("%w: the token contains a space, a line break or another character that no token has", ErrOptions)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.Authorities != nil {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(o.Authorities) {
			return nil, fmt.Errorf("%w: the file of authorities holds no certificate in PEM", ErrOptions)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	asking := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return NewClient(strings.TrimSuffix(o.URL, "/"), WithHTTPClient(asking), WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		if o.Token != "" {
			r.Header.Set("Authorization", "Bearer "+o.Token)
		}
		if o.UserAgent != "" {
			r.Header.Set("User-Agent", o.UserAgent)
		}
		return nil
	}))
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// mostAnswer bounds an answer that is read whole, in bytes.
const mostAnswer = 64 << 20

// Answer reads the JSON of an answer. The error is an *api.Problem if the receiver gave one.
func Answer[T any](got *http.Response, err error) (answer T, _ error) {
	body, err := Body(got, err)
	if err != nil {
		return answer, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, mostAnswer+1))
	switch {
	case err != nil:
		return answer, fmt.Errorf("reading the answer of the receiver: %w", err)
	case len(text) > mostAnswer:
		return answer, fmt.Errorf("the answer of the receiver is longer than %d MiB; ask for less", mostAnswer>>20)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("the answer is not that of a receiver: %w; check the address", err)
	}
	return answer, nil
}

// Body returns the body of an answer, which the caller must close. The error is an *api.Problem if
// the receiver gave one.
func Body(got *http.Response, err error) (io.ReadCloser, error) {
	if err != nil {
		var shown *url.Error
		if errors.As(err, &shown) {
			return nil, fmt.Errorf("%w at %s: %w", ErrConnection, origin(shown.URL), shown.Err)
		}
		return nil, err
	}
	if got.StatusCode < http.StatusMultipleChoices {
		return got.Body, nil
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of the receiver: %w", err)
	}
	problem := new(api.Problem)
	if json.Unmarshal(text, problem) != nil || !strings.HasPrefix(problem.Type, "urn:receiver:") {
		return nil, &StatusError{Code: got.StatusCode}
	}
	problem.RetryAfter, _ = strconv.Atoi(got.Header.Get("Retry-After")) // the receiver sends seconds, or none
	return nil, &Refusal{Problem: problem, Method: got.Request.Method, Path: got.Request.URL.EscapedPath()}
}

// Refusal is a problem that a receiver gave, and the request that it gave it to.
type Refusal struct {
	*api.Problem
	Method, Path string
}

// Unwrap returns the problem.
func (r *Refusal) Unwrap() error { return r.Problem }

// ErrConnection is in the chain of the errors of a request that was not answered.
var ErrConnection = errors.New("asking the receiver")

// origin is an address without what a request adds to it.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// StatusError is an answer of something else than a receiver.
type StatusError struct{ Code int }

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the answer is %d %s, and not that of a receiver; check the address", e.Code, http.StatusText(e.Code))
}
