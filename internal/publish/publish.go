// Package publish owns the NATS side: it runs the embedded server or connects to a
// cluster, keeps the streams, and writes and reads what they hold.
//
// Its promise is one sentence: when Publish returns no error, the event is in the
// stream JOBS, acknowledged by JetStream under its sync setting, and it is there
// once. The server enforces the "once" (Nats-Expected-Last-Subject-Sequence), so it
// holds across callers, replicas and restarts and is never forgotten.
//
// It decides nothing about callbacks and never changes a stream that exists, but where
// Survey.Apply is told to. It is the only package that imports NATS.
package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	// MaxPending is how many publishes may wait for their acknowledgement at once;
	// more fail with ErrUnavailable after a short wait. Default 4,096.
	MaxPending int
	// MaxWaiting is how many calls of Publish and Record may be under way at once; more fail
	// with ErrUnavailable at once. Default 8,192.
	MaxWaiting int
	// AttemptQueue is how many refused attempts may wait to be stored; more are
	// dropped and counted. Default 1,024.
	AttemptQueue int
	// AttemptRate is how many refused attempts are stored in a second at most. Default
	// 2,000.
	AttemptRate int
	// OneByOne stores every event by a write of its own instead of gathering those that
	// come at the same time. Right for a server of one that syncs at intervals: it calls
	// fsync for every batch all the same, for no single message.
	OneByOne bool
	// Library stores by the client library even in the process of the server: as everybody
	// else does, and what our own way is measured against.
	Library bool
	// Timeout bounds a write or a read whose context has no deadline. Default 5 s.
	Timeout time.Duration
	// LeaseTime is how long a lease outlives a holder that does not renew it; the first to
	// need one settles it for all. Default 5 s.
	LeaseTime time.Duration
	// Hide encrypts the data of events and the bodies of attempts before they are stored,
	// into an age file (job.ByAge); nil stores them in clear. What it cannot encrypt is not
	// stored. Reveal undoes it for those who read; nil leaves what is encrypted hidden, and
	// so does its error.
	Hide, Reveal func(data []byte) ([]byte, error)
	// Log receives what goes wrong outside of any call, such as a lost connection.
	Log zerolog.Logger

	only       []string          // the streams that are opened; nil means all
	resume     map[string]uint64 // the first sequence of streams that are made again
	maxMessage int64             // what a message may have if the server connected to would take more
}

func (o Options) withDefaults() Options {
	if o.MaxPending == 0 {
		o.MaxPending = 4096
	}
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
	if o.LeaseTime == 0 {
		o.LeaseTime = 5 * time.Second
	}
	return o
}

// ackTimeout is how long a publish by the client library without an answer takes up memory and
// one of MaxPending, its caller having given up before: a cluster that changes its leader may
// never answer. It bounds a write with a longer deadline, too.
func (o Options) ackTimeout() time.Duration { return 2 * o.Timeout }

// Bus is a connection to the streams. It is made by Server.Open or Dial, is safe
// for concurrent use, and must be closed.
type Bus struct {
	opts     Options
	nc       *nats.Conn
	server   *Server  // nil unless it runs in this process
	folder   string   // of the server, if it is on this machine; else empty
	contact  *contact // with the cluster; nil where the server is on this machine
	wire     *wire    // to that server
	js       jetstream.JetStream
	jobs     jetstream.Stream
	attempts jetstream.Stream
	watch    jetstream.Stream
	queue    *attemptQueue
	events   *gatherer    // of JOBS
	records  *gatherer    // of ATTEMPTS
	waiting  atomic.Int64 // calls of Publish and Record
	recent   memory       // of JOBS
	feed     feed         // of JOBS
	ends     sync.Map     // by stream, an endOf
	amiss    atomic.Pointer[trouble]
	durables sync.Map      // by name, a *durable
	restored atomic.Uint64 // consumers of ours that somebody had altered
	newsMu   sync.Mutex
	news     map[string]error // of them, by name, since the last look of Guard
}

func newBus(ctx context.Context, nc *nats.Conn, o Options) (_ *Bus, err error) {
	b := &Bus{opts: o.withDefaults(), nc: nc, news: map[string]error{}}
	b.amiss.Store(&trouble{})
	b.js, err = b.opts.jetstream(nc,
		jetstream.WithPublishAsyncMaxPending(b.opts.MaxPending),
		jetstream.WithPublishAsyncTimeout(b.opts.ackTimeout()),
		jetstream.WithDefaultTimeout(b.opts.Timeout))
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	if err := b.ensureStreams(ctx); err != nil {
		return nil, err
	}
	b.events = startGatherer(b, b.jobs, true)
	b.records = startGatherer(b, b.attempts, false)
	b.queue = startAttemptQueue(b)
	return b, nil
}

// jetstream returns the JetStream of the domain.
func (o Options) jetstream(nc *nats.Conn, opts ...jetstream.JetStreamOpt) (jetstream.JetStream, error) {
	if o.Domain == "" {
		return jetstream.New(nc, opts...)
	}
	return jetstream.NewWithDomain(nc, o.Domain, opts...)
}

// where names the domain in an error: with a wrong one JetStream is just not there.
func (o Options) where() string {
	if o.Domain == "" {
		return ""
	}
	return " in the JetStream domain " + o.Domain
}

// api returns the subject of a request to JetStream that the client has no call for.
func (o Options) api(request string) string {
	if o.Domain == "" {
		return "$JS.API." + request
	}
	return "$JS." + o.Domain + ".API." + request
}

// Close stores the attempts that still wait, lets acknowledgements in flight come
// in, and closes the connection. Ctx, or Options.Timeout if it has no deadline, bounds
// all of it; what is not stored by then is dropped and counted.
func (b *Bus) Close(ctx context.Context) error {
	ctx, cancel := b.opts.bound(ctx)
	defer cancel()
	err := b.queue.stop(ctx)
	b.events.stop()
	b.records.stop()
	if waiting := b.quiet(ctx); waiting != nil {
		err = errors.Join(err, fmt.Errorf("waiting for acknowledgements: %w", waiting))
	}
	b.nc.Close()
	return err
}

// quiet waits until no message waits for its acknowledgement.
func (b *Bus) quiet(ctx context.Context) error {
	if b.wire != nil {
		defer b.wire.close()
		return b.wire.settle(ctx)
	}
	select {
	case <-b.js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready reports whether the streams can be written now: it asks JetStream for the
// state of JOBS, and what Guard has found. The error says what is not as it should be.
func (b *Bus) Ready(ctx context.Context) error {
	if err := b.refuse(); err != nil {
		return err
	}
	if err := b.amiss.Load().err; err != nil {
		return err
	}
	if b.contact != nil && !b.nc.IsConnected() {
		ctx, cancel := b.opts.bound(ctx)
		defer cancel()
		return b.contact.lost(ctx)
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	if _, err := b.jobs.Info(ctx); err != nil {
		return fmt.Errorf("asking NATS for stream %s: %w", JobsStream, err)
	}
	return nil
}

// MaxPayload returns the largest message, in bytes, that the server takes.
func (b *Bus) MaxPayload() int64 { return b.nc.MaxPayload() }

// URL returns the address of the NATS server in use, without credentials.
func (b *Bus) URL() string { return b.nc.ConnectedUrlRedacted() }

// bound gives ctx the default deadline if it has none. It is done already while there is no
// connection: nothing can be sent then, and the client library keeps each request that it
// could not send until it loses the next connection (nats.go issue 1593, still so in 1.55).
func (b *Bus) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.wire == nil && !b.nc.IsConnected() {
		down, cancel := context.WithCancelCause(ctx)
		cancel(errDown)
		return down, func() {}
	}
	return b.opts.bound(ctx)
}

var errDown = errors.New("there is no connection to NATS")

// enter takes one of MaxWaiting; leave gives it back. Its error is ErrUnavailable.
func (b *Bus) enter() error {
	if err := b.refuse(); err != nil {
		return err
	}
	if b.waiting.Add(1) > int64(b.opts.MaxWaiting) {
		b.leave()
		return fmt.Errorf("%w: %d callbacks wait for it already", ErrUnavailable, b.opts.MaxWaiting)
	}
	return nil
}

func (b *Bus) leave() { b.waiting.Add(-1) }

func (o Options) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, o.Timeout)
}
