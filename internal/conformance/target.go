package conformance

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// target is a resolved address on loopback.
type target struct {
	url   *url.URL
	path  string // as in a request line
	addrs []netip.AddrPort
}

// newTarget resolves an address, once: what is dialled later is the outcome and no name, so
// that no change of a name leads away.
func newTarget(ctx context.Context, address string) (*target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: invalid address: %w", ErrUse, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%w: %q must be http://HOST:PORT/PATH or https://…, without a user", ErrUse, u.Redacted())
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, fmt.Errorf("%w: the port of %q: %w", ErrUse, u, err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("%w: resolving %q: %w", ErrUse, u.Hostname(), err)
	}
	t := &target{url: u, path: u.RequestURI()}
	for _, ip := range ips {
		if ip = ip.Unmap(); !ip.IsLoopback() {
			return nil, fmt.Errorf("%w: %s is %v, which is not a loopback address; run the suite on the machine of the receiver", ErrUse, u.Hostname(), ip)
		}
		t.addrs = append(t.addrs, netip.AddrPortFrom(ip, uint16(number)))
	}
	return t, nil
}

// dial opens a connection to one of the addresses.
func (t *target) dial(ctx context.Context) (net.Conn, error) {
	var last error
	for _, a := range t.addrs {
		d := net.Dialer{Timeout: answerTime}
		c, err := d.DialContext(ctx, "tcp", a.String())
		if err != nil {
			last = err
			continue
		}
		return t.secure(ctx, c)
	}
	return nil, last
}

// secure does the handshake of https.
func (t *target) secure(ctx context.Context, c net.Conn) (net.Conn, error) {
	if t.url.Scheme != "https" {
		return c, nil
	}
	conf := &tls.Config{
		ServerName: t.url.Hostname(), NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: true, //nolint:gosec // G402: the peer is on loopback, and the suite judges requests, not certificates
	}
	s := tls.Client(c, conf)
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := s.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return s, nil
}

// with returns the request line's target with another path.
func (t *target) with(path string) string {
	if t.url.RawQuery != "" {
		return path + "?" + t.url.RawQuery
	}
	return path
}

// parts are the path before and after its last slash.
func (t *target) parts() (folder, last string) {
	path := strings.TrimSuffix(t.url.EscapedPath(), "/")
	i := strings.LastIndexByte(path, '/')
	return path[:i+1], path[i+1:]
}

// answerTime is how long an answer may take that nothing of ours delays.
const answerTime = 10 * time.Second
