package web

import (
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/metrics"
)

// Bound says how many connections a listener has.
type Bound struct {
	// Most is how many are open at once, at least two. An eighth of them wait for a place,
	// and one address has three quarters of the others at most.
	Most int
	// Trusted are the proxies for which that does not hold. Nor does it for Unix sockets.
	Trusted []netip.Prefix
	// Log gets a line, once a minute, if an address has all its connections.
	Log zerolog.Logger
}

// Listener limits the connections of a listener. It accepts them all: in the kernel's queue a
// connection would wait behind those of the busiest sender. One without a place waits for it or, if
// too many wait, is closed.
type Listener struct {
	net.Listener
	trusted []netip.Prefix
	log     zerolog.Logger
	pause   time.Duration // between two that more come than may wait
	came    chan coming
	free    chan struct{} // of room for one: there may be a place
	gone    chan struct{} // closed by Close
	start   sync.Once
	once    sync.Once
	failed  error // what Close returns

	mu     sync.Mutex
	places places
	told   time.Time // of the last line in the log
}

// coming is what the listener inside returns.
type coming struct {
	net.Conn
	err error
}

const (
	lookTime = 100 * time.Millisecond // after which what waits is looked at again
	tellTime = time.Minute
)

// NewListener returns a listener with a bound.
func NewListener(ln net.Listener, b Bound) *Listener {
	p := newPlaces(b.Most)
	return &Listener{
		Listener: ln, trusted: unmapped(b.Trusted), log: b.Log, places: p, pause: leastTime / time.Duration(p.share),
		came: make(chan coming), free: make(chan struct{}, 1), gone: make(chan struct{}),
	}
}

// Serve has a server serve the listener's connections, by TLS if it has a TLSConfig. A
// connection is fresh until its first request, its handshake included.
func (l *Listener) Serve(s *http.Server) error {
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn()
		}
		if p, ok := c.(*servedConn); ok {
			p.moved(state)
		}
	}
	if s.TLSConfig == nil {
		return s.Serve(l)
	}
	// The limits count connections: with HTTP/2 one of them would carry many requests.
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	return s.ServeTLS(l, "", "")
}

// Accept waits for the next connection that has a place.
func (l *Listener) Accept() (net.Conn, error) {
	l.start.Do(func() { go l.take() })
	for {
		p, more := l.next()
		if p != nil {
			return p, nil
		}
		var later <-chan time.Time
		if more {
			later = time.After(lookTime)
		}
		select {
		case in := <-l.came:
			if in.err != nil {
				return nil, in.err
			}
			if p = l.enter(in.Conn); p != nil {
				return p, nil
			}
		case <-l.free:
		case <-later:
		case <-l.gone:
			return nil, net.ErrClosed
		}
	}
}

// take accepts connections until the listener is closed.
func (l *Listener) take() {
	for {
		c, err := l.Listener.Accept()
		select {
		case l.came <- coming{c, err}:
		case <-l.gone:
			if err == nil {
				_ = c.Close()
			}
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// next returns a connection that waited and has a place now, else whether any waits.
func (l *Listener) next() (p *servedConn, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.places.next(), l.places.waiting > 0
}

// enter returns a connection to serve: a new one or, in its stead, one that has waited. Nil means
// that it waits or is closed.
func (l *Listener) enter(c net.Conn) *servedConn {
	serve, settled := l.try(c, false)
	if settled {
		return serve
	}
	// More come than wait. They are held up, so that each has some time for its request.
	select {
	case <-time.After(l.pause):
	case <-l.gone:
	}
	if serve, settled = l.try(c, true); settled {
		return serve
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // nothing of it stays
	}
	_ = c.Close()
	return nil
}

// try serves a new connection or has it wait, and reports whether it did; at last in place of
// another one of its caller.
func (l *Listener) try(c net.Conn, last bool) (serve *servedConn, settled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.gone: // Close closes what waits once, and nothing may wait after that
		_ = c.Close()
		return nil, true
	default:
	}
	p := &servedConn{Conn: c, of: l, by: l.places.from(c.RemoteAddr(), l.trusted)}
	if p.by.waiting.Len() == 0 && l.places.free(p.by) {
		l.places.serve(p)
		return p, true
	}
	if l.places.wait(p) {
		return nil, true
	}
	if last {
		serve = l.places.renew(p)
	}
	if now := time.Now(); l.places.full(p.by) && now.Sub(l.told) >= tellTime {
		l.told = now
		l.log.Warn().Stringer("remote", p.by.network).Int("connections", p.by.open).
			Msg("an address uses all connections that one address may have; if it is your proxy, name it in public.trusted_proxies")
	}
	l.places.forget(p.by)
	return serve, serve != nil
}

// Close closes the listener and the connections that wait, not those that have a place. Called
// again, as net/http does when Accept ends, it returns what it returned first.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.gone)
		l.failed = l.Listener.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for e := l.places.queue.Front(); e != nil; e = e.Next() {
			for w := e.Value.(*caller).waiting.Front(); w != nil; w = w.Next() {
				_ = w.Value.(*servedConn).Conn.Close()
			}
		}
	})
	return l.failed
}

// Connections returns the current numbers of connections.
func (l *Listener) Connections() metrics.Connections {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.places
	return metrics.Connections{
		Open: p.taken + p.waiting, Most: p.all + p.lobby, Waiting: p.waiting, Widest: p.most(),
		Closed: p.closed, Refused: p.refused,
	}
}

// servedConn is a connection that has a place or waits for one.
type servedConn struct {
	net.Conn
	of      *Listener
	by      *caller
	at      *list.Element // in by.lines[does]; nil without a place
	does    int
	since   time.Time // it does that
	evicted bool      // it has lost its place to another one
	once    sync.Once
}

// moved notes what the connection does now.
func (p *servedConn) moved(state http.ConnState) {
	does := atWork
	switch state {
	case http.StateIdle:
		does = idle
	case http.StateActive:
	default: // fresh ones are known, closed ones have gone
		return
	}
	l := p.of
	l.mu.Lock()
	if p.at != nil {
		l.places.turn(p, does)
	}
	waits := l.places.waiting > 0
	l.mu.Unlock()
	if waits && does == idle {
		l.wake()
	}
}

func (l *Listener) wake() {
	select {
	case l.free <- struct{}{}:
	default:
	}
}

// Close closes the connection and frees its place.
func (p *servedConn) Close() error {
	err := p.Conn.Close()
	p.once.Do(func() {
		l := p.of
		l.mu.Lock()
		if p.evicted {
			l.places.leaving--
		} else {
			l.places.leave(p)
			l.places.forget(p.by)
		}
		waits := l.places.waiting > 0
		l.mu.Unlock()
		if waits {
			l.wake()
		}
	})
	return err
}

// CloseWrite is that of a TCP connection: net/http has it flush an answer before it closes.
func (p *servedConn) CloseWrite() error {
	if c, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
