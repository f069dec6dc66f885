// Package conn holds what everything that speaks to NATS shares: how to connect, the names and
// limits of the streams, the options, and the errors that callers tell apart. It keeps no state
// and writes nothing.
package conn

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// ErrUnavailable is returned when JetStream did not acknowledge in time, or not at
// all: nothing is known to be stored, the callback must be answered 503, and trying
// again later is safe.
var ErrUnavailable = errors.New("JetStream did not acknowledge")

// Options says how to work with the streams. The zero value of a field means the
// default that its comment names.
type Options struct {
	// Streams are the limits that the streams are created with or checked against.
	Streams Streams
	// Domain is the JetStream domain that the streams are in; empty means that of the
	// server connected to. Through a leaf node it says which of two is meant.
	Domain string
	// ReadOnly opens the streams that are there and creates none.
	ReadOnly bool

	// Incomplete opens also what is left of a store that streams were removed from, for a reader of
	// streams and objects by their names. It needs ReadOnly.
	Incomplete bool
	// MaxWaiting is how many calls of Publish and Record may be under way at once; more fail
	// with ErrUnavailable at once. Default 8,192.
	MaxWaiting int
	// AttemptQueue is how many refused attempts may wait to be stored; more are
	// dropped and counted. Default 1,024.
	AttemptQueue int
	// AttemptRate is how many refused attempts are stored in a second at most. Default
	// 2,000.
	AttemptRate int
	// OneByOne stores every event by a write of its own, without group commit. It is right for
	// a single server that calls fsync at intervals: it calls fsync for every batch all the
	// same, but not for single messages.
	OneByOne bool
	// Timeout bounds a write or a read whose context has no deadline. Default 5 s.
	Timeout time.Duration
	// Encrypt encrypts the data of events and the bodies of attempts before they are stored,
	// into an age file (job.ByAge); nil stores them as plain text. A body that it cannot
	// encrypt is not stored. Decrypt decrypts them for readers; if it is nil or returns an
	// error, they stay encrypted.
	Encrypt, Decrypt func(data []byte) ([]byte, error)
	// Log receives what goes wrong outside of any call, such as a lost connection.
	Log zerolog.Logger

	// Resume is the first sequence of streams that are made again.
	Resume map[string]uint64
}

// WithDefaults fills in the defaults.
func (o Options) WithDefaults() Options {
	if o.MaxWaiting == 0 {
		o.MaxWaiting = 8192
	}
	if o.AttemptQueue == 0 {
		o.AttemptQueue = 1024
	}
	if o.AttemptRate == 0 {
		o.AttemptRate = 2000
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	return o
}

// AckTimeout is how long a publish by the client library without an answer takes up memory and
// one of maxPending, its caller having given up before: a cluster that changes its leader may
// never answer. It bounds a write with a longer deadline, too.
func (o Options) AckTimeout() time.Duration { return 2 * o.Timeout }

// JetStream returns the JetStream of the domain.
func (o Options) JetStream(nc *nats.Conn, opts ...jetstream.JetStreamOpt) (jetstream.JetStream, error) {
	if o.Domain == "" {
		return jetstream.New(nc, opts...)
	}
	return jetstream.NewWithDomain(nc, o.Domain, opts...)
}

// InDomain names the domain in an error: with a wrong one JetStream is just not there.
func (o Options) InDomain() string {
	if o.Domain == "" {
		return ""
	}
	return " in the JetStream domain " + o.Domain
}

// API returns the subject of a request to JetStream that the client has no call for.
func (o Options) API(request string) string {
	if o.Domain == "" {
		return "$JS.API." + request
	}
	return "$JS." + o.Domain + ".API." + request
}

// Bound gives ctx the deadline of Options.Timeout if it has none.
func (o Options) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, o.Timeout)
}

// BoundBy is Bound for what goes through a connection. The context is done already while that is
// down: nothing can be sent then, and the client library keeps each request that it could not send
// until it loses the next connection (nats.go issue 1593, still so in 1.55).
func (o Options) BoundBy(ctx context.Context, nc *nats.Conn) (context.Context, context.CancelFunc) {
	if !nc.IsConnected() {
		down, cancel := context.WithCancelCause(ctx)
		cancel(errDown)
		return down, func() {}
	}
	return o.Bound(ctx)
}

var errDown = errors.New("no connection to NATS")
