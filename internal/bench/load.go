// Package bench puts a known load of signed callbacks on a receiver and says what came of
// it: requests a second, latencies, and what a request cost the process that served it.
//
// Figures of one machine at one moment mean little, ratios of what was measured in turns
// mean more; so it knows how to take turns, and gives every figure with its spread.
//
// It knows receivers by their address only: what is measured is handed in. It never sends
// to another host than this one, and never reads a configuration. That it signs with code
// of its own is on purpose: it shares no mistake with what it measures.
package bench

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// Key is a signature key. Its JSON holds the secret, for the pipe between two processes;
// nothing else that prints it does.
type Key []byte

// String hides the key.
func (Key) String() string { return "(key)" }

// GoString hides the key.
func (Key) GoString() string { return "(key)" }

// MarshalText returns the key in base64.
func (k Key) MarshalText() ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, k), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) (err error) {
	*k, err = base64.StdEncoding.AppendDecode(nil, text)
	return err
}

// Load says what is sent, and how. Two loads that are equal send the same bytes in the
// same order of numbering.
type Load struct {
	// URL is where callbacks are posted to: http, on this host.
	URL string `json:"url"`
	// Key signs what is to be accepted.
	Key Key `json:"key"`
	// Seed chooses the ids of jobs and which requests are what.
	Seed uint64 `json:"seed"`
	// Connections is how many connections send at once, one request at a time each.
	Connections int `json:"connections"`
	// Rate is how many requests fall due in a second, whether or not others were
	// answered (open loop). Zero means that each connection sends as soon as it has its
	// answer (closed loop).
	Rate float64 `json:"rate"`
	// Duration is how long is measured, Warmup how long is sent before that.
	Duration time.Duration `json:"duration"`
	Warmup   time.Duration `json:"warmup"`
	// Body is the size of a body in bytes, LargeBody that of a large one. At least MinBody.
	Body      int `json:"body"`
	LargeBody int `json:"large_body"`
	// Duplicates, Refusals and Large are shares of the requests, from 0 to 1: callbacks
	// that came before, those with a wrong signature, and those with a large body. The
	// last is a share of those that are neither of the first.
	Duplicates float64 `json:"duplicates"`
	Refusals   float64 `json:"refusals"`
	Large      float64 `json:"large"`
	// Prime is how many callbacks are sent, and must be answered, before the warm-up;
	// duplicates are repeats of these.
	Prime int `json:"prime"`
}

// MinBody is the smallest body in bytes that a callback is written in.
const MinBody = 224

// ErrNotLocal is returned for an address that is not on this host. Load is for one's own receivers,
// and a receiver on another host may be foreign.
var ErrNotLocal = errors.New("the receiver must be on this host")

// Check returns what is wrong with the load, all of it, or nil.
func (l Load) Check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	if _, err := l.target(); err != nil {
		faults = append(faults, err)
	}
	fault(len(l.Key) == 0, "the key is empty")
	fault(l.Connections < 1 || l.Connections > 10_000, "%d connections, want 1 to 10000", l.Connections)
	fault(!(l.Rate >= 0 && l.Rate <= 1e6), "a rate of %v, want 0 to 1000000 a second", l.Rate)
	fault(l.Duration <= 0, "a duration of %v, want more than 0", l.Duration)
	fault(l.Warmup < 0, "a warm-up of %v, want 0 or more", l.Warmup)
	fault(l.Body < MinBody, "a body of %d bytes, want at least %d", l.Body, MinBody)
	fault(l.Large > 0 && l.LargeBody < MinBody, "a large body of %d bytes, want at least %d", l.LargeBody, MinBody)
	for _, share := range []float64{l.Duplicates, l.Refusals, l.Large} {
		fault(!(share >= 0 && share <= 1), "a share of %v, want 0 to 1", share)
	}
	fault(l.Duplicates+l.Refusals > 1, "shares of duplicates and refusals with a sum above 1")
	fault(l.Prime < 0, "%d initial callbacks, want 0 or more", l.Prime)
	fault(l.Duplicates > 0 && l.Prime == 0, "duplicates, but no initial callbacks to repeat")
	return errors.Join(faults...)
}

// target returns the parsed address, or why nothing is sent there.
func (l Load) target() (*url.URL, error) {
	u, err := url.Parse(l.URL)
	if err != nil {
		return nil, fmt.Errorf("the address of the receiver: %w", err)
	}
	switch {
	case u.Scheme != "http" || u.User != nil:
		return nil, fmt.Errorf("the address %s: want http://HOST:PORT/PATH", u.Redacted())
	case !onThisHost(u.Hostname()):
		return nil, fmt.Errorf("the address %s: %w; use 127.0.0.1 or localhost", u.Redacted(), ErrNotLocal)
	}
	return u, nil
}

func onThisHost(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// address returns host and port to connect to.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
