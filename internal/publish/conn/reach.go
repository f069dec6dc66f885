package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Unreached is a server of a cluster to which no connection could be made.
type Unreached struct {
	// URL is that of the configuration, without credentials.
	URL string
	// Err says why.
	Err error
}

// Error names the server and says why.
func (u Unreached) Error() string { return u.URL + ": " + u.Err.Error() }

// Unwrap returns why.
func (u Unreached) Unwrap() error { return u.Err }

// Unreached connects to each server by itself, all at once, and returns those that do not
// let us in, in their order. A server that says nothing is given up after two seconds.
func (e External) Unreached(ctx context.Context) []Unreached {
	failed := make([]error, len(e.URLs))
	var probes sync.WaitGroup
	for i, u := range e.URLs {
		probes.Go(func() { failed[i] = e.probe(ctx, u) })
	}
	probes.Wait()
	var all []Unreached
	for i, err := range failed {
		if err != nil {
			all = append(all, Unreached{redacted(e.URLs[i]), err})
		}
	}
	return all
}

// probe connects to one server, and says why it could not.
func (e External) probe(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*DialTimeout) // the library counts dialling and greeting each
	defer cancel()
	d := &lastDial{ctx: ctx}
	nc, err := Connect(ctx, server, append([]nats.Option{
		nats.Name("receiver"), nats.Timeout(DialTimeout), nats.NoReconnect(), nats.SetCustomDialer(d),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, e.NATSOptions()...))
	if err == nil {
		nc.Close()
		return nil
	}
	if failed := d.failed(); failed != nil {
		return failed // the library has one error for all that is refused
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer")
	}
	return err
}

// Unreachable is the error of a cluster that err came from: it names all servers and says
// what is wrong with each.
func (e External) Unreachable(ctx context.Context, err error) error {
	const doing = "connecting to NATS: "
	if ctx.Err() != nil {
		return fmt.Errorf(doing+"%s: %w", strings.Join(e.Redacted(), ", "), err)
	}
	var each []string
	for _, u := range e.Unreached(ctx) {
		each = append(each, u.Error())
	}
	if len(each) == 0 { // they answer by now, or only when one is asked
		return fmt.Errorf(doing+"%s: %w", strings.Join(e.Redacted(), ", "), err)
	}
	return errors.New(doing + strings.Join(each, "; "))
}

// Redacted returns the servers' addresses without credentials.
func (e External) Redacted() []string {
	all := make([]string, 0, len(e.URLs))
	for _, u := range e.URLs {
		all = append(all, redacted(u))
	}
	return all
}

// Redacted takes the credentials out of a URL.
func redacted(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "an invalid URL"
	}
	u.User = nil
	return u.String()
}

// lastDial remembers why the last attempt to dial failed.
type lastDial struct {
	ctx context.Context //nolint:containedctx // the interface of the library has none
	mu  sync.Mutex
	err error
}

// Dial implements nats.CustomDialer.
func (d *lastDial) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: DialTimeout}).DialContext(d.ctx, network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	return conn, err
}

func (d *lastDial) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Connect is nats.Connect, given up when ctx is done.
func Connect(ctx context.Context, servers string, opts []nats.Option) (*nats.Conn, error) {
	type result struct {
		nc  *nats.Conn
		err error
	}
	made := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(servers, opts...)
		made <- result{nc, err}
	}()
	select {
	case r := <-made:
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-made; r.err == nil {
				r.nc.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// MayPass reports whether an error of Dial, or of a later question to the cluster, can end without
// a change here: a cluster that cannot be reached, admits no client, has no JetStream yet or too
// few servers, a stream without a leader, or one that was just made and that not every server knows
// yet. An error about the streams themselves stays until the configuration or the streams are
// changed.
func MayPass(err error) bool {
	var said *jetstream.APIError
	refused := errors.As(err, &said) && said.Code < 500 && said.Code != http.StatusNotFound && !NotReady(said)
	return err != nil && !errors.Is(err, ErrStream) && !errors.Is(err, ErrLost) && !refused
}

// Contact tells why there is no connection to a cluster, and asks its servers for that every
// two seconds at most.
type Contact struct {
	// Servers are those of the cluster.
	Servers External

	mu    sync.Mutex
	asked time.Time
	last  error
}

// Lost returns why no server can be reached. It asks them every two seconds at most.
func (c *Contact) Lost(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.asked) >= DialTimeout {
		c.last = c.Servers.Unreachable(ctx, nats.ErrDisconnected)
		c.asked = time.Now()
	}
	return c.last
}
