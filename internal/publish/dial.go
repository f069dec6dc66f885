package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// External says how to reach a NATS cluster that somebody else runs.
type External struct {
	// URLs are the servers, at least one.
	URLs []string
	// CredentialsFile is a NATS credentials file; empty means none.
	CredentialsFile string
	// CAFile verifies the servers' certificates; empty means the system's roots.
	CAFile string
	// CertFile and KeyFile are our own certificate; empty means none.
	CertFile, KeyFile string
}

// Dial connects to a cluster and opens the streams, creating those that are missing. One
// server that answers is enough. The error names all of them, and says why each could not be
// reached; MayPass tells whether to try again. The connection mends itself; while it is down,
// writes fail with ErrUnavailable.
func Dial(ctx context.Context, e External, o Options) (*Bus, error) {
	nc, err := connectWithin(ctx, strings.Join(e.URLs, ","), append(baseOptions(o), e.options()...))
	if err != nil {
		return nil, e.unreachable(ctx, err)
	}
	b, err := newBus(ctx, nc, o)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%w (the NATS servers are %s)", err, strings.Join(e.redacted(), ", "))
	}
	b.contact = &contact{servers: e}
	return b, nil
}

func (e External) options() []nats.Option {
	var opts []nats.Option
	if e.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(e.CredentialsFile))
	}
	if e.CAFile != "" {
		opts = append(opts, nats.RootCAs(e.CAFile))
	}
	if e.CertFile != "" {
		opts = append(opts, nats.ClientCert(e.CertFile, e.KeyFile))
	}
	return opts
}

func connect(ctx context.Context, url string, o Options, opts []nats.Option) (*Bus, error) {
	nc, err := connectThrough(ctx, url, append(opts, nats.Timeout(enterPatience)))
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	b, err := newBus(ctx, nc, o)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return b, nil
}

// enterTries and enterPause are how often, and after what time, a connection is tried again that
// an embedded server ended for want of room.
const (
	enterTries = 100
	enterPause = 20 * time.Millisecond
	// enterPatience is how long a crowd is waited behind.
	enterPatience = 10 * time.Second
)

// connectThrough connects to an embedded server, through a crowd of strangers if need be.
func connectThrough(ctx context.Context, url string, opts []nats.Option) (nc *nats.Conn, err error) {
	for range enterTries {
		nc, err = nats.Connect(url, opts...)
		if err == nil || !crowded(err) || pause(ctx, enterPause) != nil {
			break
		}
	}
	return nc, err
}

// crowded reports whether an error may come of strangers who take all connections: whoever
// has not signed in yet may have to go with them.
func crowded(err error) bool {
	return slices.ContainsFunc([]error{io.EOF, syscall.ECONNRESET, syscall.EPIPE}, func(e error) bool { return errors.Is(err, e) })
}

// pingInterval is how often a server is asked for a sign of life; when the third is due and
// two were not answered, the connection counts as lost. A line that is cut without a word is
// noticed by nothing else: until then every callback waits for its timeout, though another
// server may be well.
const pingInterval = 2 * time.Second

func baseOptions(o Options) []nats.Option {
	return []nats.Option{
		nats.Name("receiver"),
		nats.MaxReconnects(-1),
		// A cluster that refuses us for a moment, such as while its accounts are being
		// changed, must not be given up for ever.
		nats.IgnoreAuthErrorAbort(),
		// A server that takes nothing in holds up every write behind the first; cut
		// the connection to it then, and find out about a silent one before long.
		nats.FlusherTimeout(o.withDefaults().Timeout),
		nats.ReconnectOnFlusherError(),
		nats.PingInterval(pingInterval),
		nats.ReconnectWait(250 * time.Millisecond),
		// A message kept for a lost connection could be stored long after its
		// callback was answered 503; better to fail at once and be called again.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				o.Log.Warn().Err(err).Msg("connection to NATS lost; callbacks are answered 503 until it is back")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			o.Log.Info().Str("url", nc.ConnectedUrlRedacted()).Msg("connection to NATS is back")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			o.Log.Warn().Err(err).Msg("NATS reports")
		}),
	}
}
