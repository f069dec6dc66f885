// Package submit is the client of the platform's API: it lists objects, starts bulk jobs, polls for
// them, fetches their rows and errors, and cancels them.
//
// Use it to talk to SAP Open Connectors (or Cloud Elements, which has the same protocol). It
// reports statuses verbatim and never interprets them; it never holds a file in memory; it never
// sends a POST twice once a byte of it may have arrived; and neither its errors nor its values
// print a secret or a callback URL.
//
// Comments marked "OC:" cite open-connectors-contract.md: table (a) has the documented behaviour,
// table (b) the choices where nothing is documented.
package submit

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client talks to one connector instance of the platform. It is safe for
// concurrent use and holds no state besides idle connections.
type Client struct {
	base          string // no slash at the end
	origin        string // scheme and host of base: the only place that is shown the secrets
	hub           string // "" or "/hubs/<escaped name>"
	source        string // never empty
	ownRoots      bool   // that are believed instead of the system's
	userAgent     string
	authorize     func(http.Header) // a closure, so that printing a Client shows no secret
	secrets       func() []string
	timeout       time.Duration
	uploadTimeout time.Duration
	retries       Retries
	sleep         func(context.Context, time.Duration) error
	now           func() time.Time
	reading       *http.Client // GET and PUT
	creating      *http.Client // POST
}

// New checks o and returns a client. No request is made. The error joins every
// fault found, each naming the field and never showing a secret.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	base, err := o.check()
	if err != nil {
		return nil, err
	}
	c := &Client{
		base: strings.TrimRight(base.String(), "/"), origin: origin(base), source: cmp.Or(o.Source, "S"), userAgent: o.UserAgent,
		ownRoots:  len(o.Authorities) > 0,
		authorize: authorization(o), secrets: func() []string { return []string{o.Element, o.User, o.Organization} },
		timeout: o.Timeout, uploadTimeout: o.UploadTimeout, retries: o.Retries, sleep: o.Sleep, now: o.Now,
	}
	if o.Hub != "" {
		c.hub = "/hubs/" + url.PathEscape(o.Hub)
	}
	c.reading, c.creating = c.httpClients(o)
	return c, nil
}

// authorization returns what puts the secrets into a header.
// OC: (a) row 2; the order of the pairs does not matter (section 1.2).
func authorization(o Options) func(http.Header) {
	value := "Element " + o.Element + ", User " + o.User
	if o.Organization != "" {
		value += ", Organization " + o.Organization
	}
	return func(h http.Header) { h.Set("Authorization", value) }
}
