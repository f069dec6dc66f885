package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/natsserver"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
	"receiver/internal/publish/sender"
)

// Dial connects to a cluster and opens the streams, creating those that are missing. One server
// that answers is enough. The error names all servers, and says why each could not be reached;
// MayPass says whether to try again. The connection is restored by itself; while it is down, writes
// fail with ErrUnavailable.
func Dial(ctx context.Context, e conn.External, o conn.Options) (*Store, error) {
	tap := &sender.Tap{}
	nc, err := conn.Connect(ctx, strings.Join(e.URLs, ","), slices.Concat(conn.BaseOptions(o), e.NATSOptions(), tap.Options(nil)))
	if err != nil {
		return nil, e.Unreachable(ctx, err)
	}
	b, err := newStore(ctx, nc, tap, &conn.Contact{Servers: e}, o)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%w (the NATS servers are %s)", err, strings.Join(e.Redacted(), ", "))
	}
	return b, nil
}

// Open connects to the server inside this process and opens the streams.
func Open(ctx context.Context, s *natsserver.Server, o conn.Options) (*Store, error) {
	at, err := s.Endpoint()
	if err != nil {
		return nil, err
	}
	o.Resume = s.Resume()
	b, err := connect(ctx, at, s, o)
	if err == nil {
		b.server, b.folder = s, s.Folder()
		s.StageBatches() // in streams that there were not before
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
	b, err := connect(ctx, at, nil, o)
	if err == nil {
		b.folder = folder
	}
	return b, err
}

// connect opens the store of an embedded server: of another process, if inProcess is nil.
func connect(ctx context.Context, at conn.Endpoint, inProcess nats.InProcessConnProvider, o conn.Options) (*Store, error) {
	tap := &sender.Tap{}
	at.Options = append(at.Options, tap.Options(inProcess)...)
	nc, err := at.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	b, err := newStore(ctx, nc, tap, nil, o)
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
