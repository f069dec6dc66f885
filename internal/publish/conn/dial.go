package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// External says how to reach a NATS cluster of an operator.
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

// NATSOptions are the credentials and certificates as options of the client library.
func (e External) NATSOptions() []nats.Option {
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

// enterTries and enterPause are how often, and after what time, a connection is tried again that
// an embedded server ended for want of room.
const (
	maxConnectTries = 100
	connectPause    = 20 * time.Millisecond
	// SignInTimeout bounds one attempt to connect to an embedded server that strangers keep busy.
	SignInTimeout = 10 * time.Second
)

// Endpoint is a NATS server that a receiver of this machine runs, and how to sign in to it.
type Endpoint struct {
	// URL is where it listens; empty for a server inside this process.
	URL string
	// Options reach it there and sign in.
	Options []nats.Option
}

// Connect connects to the server, which may be busy with others, and keeps the connection.
func (e Endpoint) Connect(ctx context.Context, o Options) (*nats.Conn, error) {
	opts := append(BaseOptions(o), e.Options...)
	nc, err := ConnectBusy(ctx, e.URL, append(opts, nats.Timeout(SignInTimeout)))
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	return nc, nil
}

// ConnectBusy connects to an embedded server, and tries again while unauthenticated clients take
// its connections.
func ConnectBusy(ctx context.Context, url string, opts []nats.Option) (nc *nats.Conn, err error) {
	for range maxConnectTries {
		nc, err = nats.Connect(url, opts...)
		if err == nil || !tooManyConnections(err) || Sleep(ctx, connectPause) != nil {
			break
		}
	}
	return nc, err
}

// tooManyConnections reports whether an error may come from unauthenticated clients that take all
// connections: the server then ends those that have not signed in yet, this one included.
func tooManyConnections(err error) bool {
	return slices.ContainsFunc([]error{io.EOF, syscall.ECONNRESET, syscall.EPIPE}, func(e error) bool { return errors.Is(err, e) })
}

// PingInterval is the interval of heartbeats; when the third is due and two were not answered, the
// connection counts as lost. Nothing else notices a link that is cut silently: until then every
// callback waits for its timeout, although another server may be in order.
const PingInterval = 2 * time.Second

// BaseOptions are the options of a lasting connection: it reconnects for ever, fails writes while
// it is down, and logs what happens to it.
func BaseOptions(o Options) []nats.Option {
	return []nats.Option{
		nats.Name("receiver"),
		nats.MaxReconnects(-1),
		// A cluster that refuses us for a moment, such as while its accounts are being
		// changed, must not be given up for ever.
		nats.IgnoreAuthErrorAbort(),
		// A server that reads nothing blocks every write behind the first: the deadline closes
		// the connection to it, and heartbeats detect one that is silent.
		nats.FlusherTimeout(o.WithDefaults().Timeout),
		nats.ReconnectOnFlusherError(),
		nats.PingInterval(PingInterval),
		nats.ReconnectWait(250 * time.Millisecond),
		// A message kept for a lost connection could be stored long after its
		// callback was answered 503; better to fail at once and be called again.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				o.Log.Warn().Err(err).Msg("the connection to NATS is lost; callbacks are answered 503 until it is restored")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			o.Log.Info().Str("url", nc.ConnectedUrlRedacted()).Msg("the connection to NATS is restored")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			o.Log.Warn().Err(err).Msg("the NATS client reported an error")
		}),
	}
}
