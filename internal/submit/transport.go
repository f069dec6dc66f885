package submit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxRedirects = 5
	// expectFor is how long a big upload waits to be asked for. A platform that
	// never asks costs each of them this long.
	expectFor = 3 * time.Second
	// atOnce is how much of a file is read and written at once where there is no TLS,
	// whose records set a measure of their own. Only so many uploads of a process use that at the
	// same time: many share the link, and do not need it.
	atOnce = 512 << 10
	wide   = 8
	narrow = 32 << 10
)

// widths has a token for each upload that reads and writes atOnce.
var widths = make(chan struct{}, wide)

var errRedirect = errors.New("redirect refused")

// httpClients returns the client for requests that may be repeated and the one
// for those that may not. That one sends every request on a connection of its own, so that a
// stale one never casts doubt on whether a job was created.
func (c *Client) httpClients(o Options) (reading, creating *http.Client) {
	kept := http.DefaultTransport.(*http.Transport).Clone()
	if len(o.Authorities) > 0 {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(o.Authorities) // check saw that there are some
		kept.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	fresh := kept.Clone()
	fresh.DisableKeepAlives = true
	fresh.ExpectContinueTimeout = expectFor
	fresh.DialContext = widely(kept.DialContext)
	client := func(t http.RoundTripper) *http.Client {
		if o.Around != nil {
			t = o.Around(t)
		}
		return &http.Client{Transport: t, CheckRedirect: c.checkRedirect}
	}
	return client(kept), client(fresh)
}

// checkRedirect follows nothing but a GET, and shows the secrets to no origin but
// the configured one: net/http alone would show them to another port of the same
// host, to its subdomains, and in clear text. To loopback in clear text leads only what
// is there itself: a platform elsewhere has no business with what listens on our machine.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if via[0].Method != http.MethodGet {
		return http.ErrUseLastResponse
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: more than %d in a row", errRedirect, maxRedirects)
	}
	if !trusted(req.URL) || req.URL.Scheme != "https" && !strings.HasPrefix(c.origin, "http://") {
		return fmt.Errorf("%w: it leads to an address that is not https", errRedirect)
	}
	// Once away, always away: a foreign host must not be able to send us back
	// with the secrets to a path of its choice.
	for _, r := range append([]*http.Request{req}, via...) {
		if origin(r.URL) != c.origin {
			req.Header.Del("Authorization")
			req.Header.Del("Referer")
		}
	}
	return nil
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// widely dials the connections that carry a body.
func widely(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &bodyConn{Conn: conn}, nil
	}
}

// bodyConn is a connection that net/http sends a body through. The 32 KiB that a
// net.Conn would copy at once keep a fast one waiting between writes.
type bodyConn struct {
	net.Conn
	closed atomic.Bool
}

// ReadFrom sends what r has.
func (c *bodyConn) ReadFrom(r io.Reader) (int64, error) {
	// Only Write is shown to io.CopyBuffer, which else asked the connection to copy.
	size := narrow
	select {
	case widths <- struct{}{}:
		defer func() { <-widths }()
		size = atOnce
	default:
	}
	return io.CopyBuffer(struct{ io.Writer }{c}, r, make([]byte, size))
}

// Write keeps a failure to itself until the connection is closed. A platform may answer and hang up
// before it has read the body; net/http would drop that answer because of the failed write. The
// received bytes decide instead: reading ends with the answer or with an error.
func (c *bodyConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && !c.closed.Load() {
		return len(p), nil
	}
	return n, err
}

// Close ends the connection.
func (c *bodyConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}
