// Package publish is the store: it opens the streams of an embedded server or of a cluster, and
// writes and reads events, attempts, watches and actions.
//
// Its guarantee in one sentence: when Publish returns no error, the event is in the stream JOBS,
// acknowledged by JetStream under its sync setting, and it is there once. The server enforces the
// "once" (Nats-Expected-Last-Subject-Sequence), so it holds across callers, replicas and restarts,
// without a limit of time.
//
// It decides nothing about callbacks. It changes the settings of no existing stream;
// schema.Survey.Apply does.
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

	"receiver/internal/natsserver"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/durables"
	"receiver/internal/publish/sender"
)

// maxPending is how many publishes may wait for their acknowledgement at once; further ones fail
// with ErrUnavailable after a short wait.
const maxPending = 4096

// Store writes to the streams and reads them, by one connection. It is made by Open, Attach or
// Dial, is safe for concurrent use, and must be closed.
type Store struct {
	opts        conn.Options
	nc          *nats.Conn
	closed      chan struct{}      // the connection is, for good
	server      *natsserver.Server // nil unless it runs in this process
	folder      string             // of the server, if it is on this machine; else empty
	contact     *conn.Contact      // with the cluster; nil where the server is on this machine
	sender      *sender.Sender
	js          jetstream.JetStream
	jobs        jetstream.Stream
	attempts    jetstream.Stream
	watch       jetstream.Stream
	submissions jetstream.Stream
	queue       *attemptQueue
	events      *groupCommit // of JOBS
	records     *groupCommit // of ATTEMPTS
	waiting     atomic.Int64 // calls of Publish and Record
	figures     atomic.Pointer[sender.Figures]
	recent      cache    // of JOBS
	feed        feed     // of JOBS
	ends        sync.Map // by stream, an endOf
	guardStatus atomic.Pointer[guardStatus]
	leases      time.Duration // how long a lease outlives a holder that does not renew it
	*durables.Set
}

func newStore(ctx context.Context, nc *nats.Conn, tap *sender.Tap, contact *conn.Contact, o conn.Options) (_ *Store, err error) {
	b := &Store{opts: o.WithDefaults(), nc: nc, contact: contact, leases: leaseTime, closed: make(chan struct{})}
	nc.SetClosedHandler(func(*nats.Conn) { close(b.closed) })
	b.guardStatus.Store(&guardStatus{})
	b.js, err = b.opts.JetStream(nc, jetstream.WithDefaultTimeout(b.opts.Timeout))
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	if b.sender, err = sender.New(nc, tap, maxPending); err != nil {
		return nil, err
	}
	b.Set = durables.New(b.js, b.bound, func() bool { return b.server != nil }, b.opts.Log)
	if err := b.ensureStreams(ctx); err != nil {
		return nil, err
	}
	b.events = startGroupCommit(b, b.jobs, true)
	b.records = startGroupCommit(b, b.attempts, false)
	b.queue = startAttemptQueue(b)
	return b, nil
}

// Close stores the attempts that still wait, waits for outstanding acknowledgements, and closes the
// connection. Ctx, or Options.Timeout if it has no deadline, bounds all of it; what is not stored
// by then is dropped and counted.
func (b *Store) Close(ctx context.Context) error {
	ctx, cancel := b.opts.Bound(ctx)
	defer cancel()
	err := b.queue.stop(ctx)
	b.events.stop()
	b.records.stop()
	if waiting := b.sender.Drain(ctx); waiting != nil {
		err = errors.Join(err, fmt.Errorf("waiting for acknowledgements: %w", waiting))
	}
	b.sender.Close()
	b.nc.Close()
	return err
}

// Closed is closed when the connection is, for good: by Close, or because the server ended it for
// an error that the client library does not connect again after.
func (b *Store) Closed() <-chan struct{} { return b.closed }

// ClosedFor returns why the server ended the connection for good; nil if it did not say.
func (b *Store) ClosedFor() error { return b.nc.LastError() }

// Ready reports whether the streams can be written now: it asks JetStream for the state of JOBS,
// and returns what Guard has found.
func (b *Store) Ready(ctx context.Context) error {
	if err := b.checkWritable(); err != nil {
		return err
	}
	if err := b.guardStatus.Load().err; err != nil {
		return err
	}
	if b.contact != nil && !b.nc.IsConnected() {
		ctx, cancel := b.opts.Bound(ctx)
		defer cancel()
		return b.contact.Lost(ctx)
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	if _, err := b.jobs.Info(ctx); err != nil {
		return fmt.Errorf("asking NATS for stream %s: %w", conn.JobsStream, err)
	}
	return nil
}

// JetStream returns the connection to the streams, for packages that work beside the store.
func (b *Store) JetStream() jetstream.JetStream { return b.js }

// checkWritable returns an ErrUnavailable while the store takes no writes.
func (b *Store) checkWritable() error {
	if b.server != nil {
		if full := b.server.Status().Err; full != nil {
			return fmt.Errorf("%w: %w", conn.ErrUnavailable, full)
		}
	}
	if t := b.guardStatus.Load(); t.blocking {
		return fmt.Errorf("%w: %w", conn.ErrUnavailable, t.err)
	}
	return nil
}

// State says whether the streams take writes, as checked less than a second ago.
func (b *Store) State() natsserver.State {
	switch {
	case b.server != nil && b.server.Status().State != natsserver.StateOK:
		return b.server.Status().State
	case b.server == nil && !b.nc.IsConnected():
		return natsserver.StateAway
	case b.guardStatus.Load().err != nil:
		return natsserver.StateStream
	}
	return natsserver.StateOK
}

// MaxPayload returns the largest message, in bytes, that the server takes.
func (b *Store) MaxPayload() int64 { return b.nc.MaxPayload() }

// URL returns the address of the NATS server in use, without credentials.
func (b *Store) URL() string { return b.nc.ConnectedUrlRedacted() }

// bound gives ctx the default deadline if it has none, and cancels it while there is no connection.
func (b *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return b.opts.BoundBy(ctx, b.nc)
}

// enter takes one of MaxWaiting; leave gives it back. Its error is ErrUnavailable.
func (b *Store) enter() error {
	if err := b.checkWritable(); err != nil {
		return err
	}
	if b.waiting.Add(1) > int64(b.opts.MaxWaiting) {
		b.leave()
		return fmt.Errorf("%w: %d callbacks wait for its acknowledgement, the limit", conn.ErrUnavailable, b.opts.MaxWaiting)
	}
	return nil
}

func (b *Store) leave() { b.waiting.Add(-1) }

// InFlight returns how many calls of Publish and Record are under way.
func (b *Store) InFlight() int64 { return b.waiting.Load() }

// Measure gives f the figures of events and attempts that are stored from now on.
func (b *Store) Measure(f sender.Figures) { b.figures.Store(&f) }
