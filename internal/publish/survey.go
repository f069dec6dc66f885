package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Survey is a connection that looks at a NATS server and its streams as they are, also
// where they are missing or such that no Bus can be made. Facts and Plan change nothing;
// Apply is the one place where this program changes a stream that exists. It is safe for
// concurrent use and must be closed.
type Survey struct {
	opts Options
	nc   *nats.Conn
	js   jetstream.JetStream
}

// SurveyCluster connects to a cluster, within ctx.
func SurveyCluster(ctx context.Context, e External, o Options) (*Survey, error) {
	s, err := survey(ctx, e.URLs, o, e.options()...)
	if errors.Is(err, errNotConnected) {
		err = e.unreachable(ctx, err)
	}
	return s, err
}

// errNotConnected marks the error of a survey that no server let in.
var errNotConnected = errors.New("connecting to NATS")

// SurveyFolder connects, as the owner, to the server that another process runs on a
// folder. It returns ErrNotRunning if there is none.
func SurveyFolder(ctx context.Context, folder string, o Options) (*Survey, error) {
	url, as, err := running(folder)
	if err != nil {
		return nil, err
	}
	return survey(ctx, []string{url}, o, as...)
}

// Survey connects to the server inside this process.
func (s *Server) Survey(ctx context.Context, o Options) (*Survey, error) {
	as, err := signIn(s.owner)
	if err != nil {
		return nil, err
	}
	return survey(ctx, []string{""}, o, nats.InProcessServer(s), as)
}

// dialPatience bounds the attempt to reach one server.
const dialPatience = 2 * time.Second

func survey(ctx context.Context, urls []string, o Options, as ...nats.Option) (*Survey, error) {
	patience := dialPatience
	if deadline, ok := ctx.Deadline(); ok && len(urls) > 0 {
		patience = min(patience, time.Until(deadline)/time.Duration(len(urls)))
	}
	opts := append([]nats.Option{
		nats.Name("receiver"), nats.Timeout(max(patience, time.Millisecond)), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			o.Log.Warn().Err(err).Msg("NATS reports")
		}),
	}, as...)
	nc, err := connectThrough(ctx, strings.Join(urls, ","), opts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotConnected, err)
	}
	js, err := o.jetstream(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	return &Survey{opts: o.withDefaults(), nc: nc, js: js}, nil
}

// askPatience bounds one question: a cluster that changes its leader may never answer it,
// and does the next.
const askPatience = 2 * time.Second

// stream asks for a stream.
func (s *Survey) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	stream, err := s.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrMissing, name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: asking NATS for stream %s: %v", ErrUnavailable, name, err)
	}
	return stream, nil
}

// account asks for our account's JetStream.
func (s *Survey) account(ctx context.Context) (*jetstream.AccountInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	info, err := s.js.AccountInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: asking NATS for JetStream: %v", ErrUnavailable, err)
	}
	return info, nil
}

// Close closes the connection.
func (s *Survey) Close() { s.nc.Close() }
