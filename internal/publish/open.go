package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/natsserver"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

// Dial connects to a cluster and opens the streams, creating those that are missing. One server
// that answers is enough. The error names all servers, and says why each could not be reached;
// MayPass says whether to try again. The connection is restored by itself; while it is down, writes
// fail with ErrUnavailable.
func Dial(ctx context.Context, e conn.External, o conn.Options) (*Store, error) {
	nc, err := conn.Connect(ctx, strings.Join(e.URLs, ","), append(conn.BaseOptions(o), e.NATSOptions()...))
	if err != nil {
		return nil, e.Unreachable(ctx, err)
	}
	b, err := newStore(ctx, nc, o)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%w (the NATS servers are %s)", err, strings.Join(e.Redacted(), ", "))
	}
	b.contact = &conn.Contact{Servers: e}
	return b, nil
}

// Open connects to the server inside this process and opens the streams.
func Open(ctx context.Context, s *natsserver.Server, o conn.Options) (*Store, error) {
	at, err := s.Endpoint()
	if err != nil {
		return nil, err
	}
	o.Resume = s.Resume()
	b, err := connect(ctx, at, o)
	if err == nil {
		b.server, b.folder = s, s.Folder()
		s.StageBatches() // in streams that there were not before
		if !o.Library {
			b.wire = s.Wire(maxPending)
		}
	}
	return b, err
}

// Attach connects, as the owner, to the server that another process runs on a
// folder. It returns ErrNotRunning if there is none.
func Attach(ctx context.Context, folder string, o conn.Options) (*Store, error) {
	at, err := natsserver.Running(folder)
	if err != nil {
		return nil, err
	}
	b, err := connect(ctx, at, o)
	if err == nil {
		b.folder = folder
	}
	return b, err
}

func connect(ctx context.Context, at conn.Endpoint, o conn.Options) (*Store, error) {
	nc, err := at.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	b, err := newStore(ctx, nc, o)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return b, nil
}

// ensureStreams opens the streams, and makes those that are missing.
func (b *Store) ensureStreams(ctx context.Context) error {
	for _, want := range b.opts.Streams.Configs() {
		s, err := schema.Ensure(ctx, b.js, b.opts, want)
		if b.opts.Incomplete && errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		switch want.Name {
		case conn.JobsStream:
			b.jobs = s
		case conn.AttemptsStream:
			b.attempts = s
		case conn.WatchStream:
			b.watch = s
		case conn.SubmissionsStream:
			b.submissions = s
		}
	}
	return nil
}
