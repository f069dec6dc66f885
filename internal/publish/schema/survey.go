// Package schema compares the streams with the configuration, says what differs and what a change
// would drop, and makes the change on request. It opens streams, and creates those that are
// missing; it changes nothing else of a store.
package schema

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// Survey is a connection that reads the state of a NATS server and its streams, even if streams are
// missing or no store can be opened on them. Facts and Plan change nothing; Apply is the one place
// where this program changes a stream that exists. It is safe for concurrent use and must be
// closed.
type Survey struct {
	opts conn.Options
	nc   *nats.Conn
	js   jetstream.JetStream
}

// SurveyCluster connects to a cluster, within ctx.
func SurveyCluster(ctx context.Context, e conn.External, o conn.Options) (*Survey, error) {
	s, err := survey(ctx, e.URLs, o, e.NATSOptions()...)
	if errors.Is(err, errNotConnected) {
		err = e.Unreachable(ctx, err)
	}
	return s, err
}

// errNotConnected marks the error of a survey that no server admitted.
var errNotConnected = errors.New("connecting to NATS")

// SurveyEndpoint connects to a server that a receiver of this machine runs.
func SurveyEndpoint(ctx context.Context, at conn.Endpoint, o conn.Options) (*Survey, error) {
	return survey(ctx, []string{at.URL}, o, at.Options...)
}

func survey(ctx context.Context, urls []string, o conn.Options, as ...nats.Option) (*Survey, error) {
	timeout := conn.DialTimeout
	if deadline, ok := ctx.Deadline(); ok && len(urls) > 0 {
		timeout = min(timeout, time.Until(deadline)/time.Duration(len(urls)))
	}
	opts := append([]nats.Option{
		nats.Name("receiver"), nats.Timeout(max(timeout, time.Millisecond)), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			o.Log.Warn().Err(err).Msg("the NATS client reported an error")
		}),
	}, as...)
	nc, err := conn.ConnectBusy(ctx, strings.Join(urls, ","), opts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotConnected, err)
	}
	js, err := o.JetStream(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	return &Survey{opts: o.WithDefaults(), nc: nc, js: js}, nil
}

// Stream asks for a stream. The error is conn.ErrMissing or conn.ErrUnavailable.
func (s *Survey) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: %s", conn.ErrMissing, name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: asking NATS for stream %s: %v", conn.ErrUnavailable, name, err)
	}
	return stream, nil
}

// account asks for our account's JetStream.
func (s *Survey) account(ctx context.Context) (*jetstream.AccountInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	info, err := s.js.AccountInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: asking NATS for JetStream: %v", conn.ErrUnavailable, err)
	}
	return info, nil
}

// Account returns the account that the survey is in; empty where the server does not tell.
func (s *Survey) Account(ctx context.Context) string {
	u, err := conn.WhoAmI(ctx, s.nc)
	if err != nil {
		return ""
	}
	return u.Account
}

// JetStream is what the survey asks.
func (s *Survey) JetStream() jetstream.JetStream { return s.js }

// Close closes the connection.
func (s *Survey) Close() { s.nc.Close() }
