package web

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// Listener bounds the connections of a listener. Where there are as many as may be, it closes
// the one that has waited longest for a request, if it had time to send one; else the next
// waits with the kernel until one ends. So whoever only keeps connections keeps nobody out,
// and they cannot use up what the store needs to open files.
type Listener struct {
	net.Listener
	most int
	gone chan struct{} // closed by Close
	free chan struct{} // of room for one: there may be a place

	mu     sync.Mutex
	open   int
	fresh  list.List // connections without a request so far, oldest first
	idle   list.List // those between two requests
	closed uint64    // to make a place
	once   sync.Once
}

// freshTime is how long a new connection has for its request before it may be closed.
const freshTime = time.Second

// NewListener returns a listener of most connections at once, at least one.
func NewListener(ln net.Listener, most int) *Listener {
	return &Listener{Listener: ln, most: max(most, 1), gone: make(chan struct{}), free: make(chan struct{}, 1)}
}

// Serve has a server serve the listener's connections, by TLS if it has a TLSConfig. A
// connection is fresh until its first request, its handshake included.
func (l *Listener) Serve(s *http.Server) error {
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn()
		}
		if p, ok := c.(*patron); ok {
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

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	if err := l.place(); err != nil {
		return nil, err
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.left()
		return nil, err
	}
	p := &patron{Conn: c, of: l}
	p.moved(http.StateNew)
	return p, nil
}

// place takes a place, making one if it must.
func (l *Listener) place() error {
	for {
		l.mu.Lock()
		if l.open < l.most {
			l.open++
			l.mu.Unlock()
			return nil
		}
		p, wait := l.oldest()
		l.mu.Unlock()
		if p != nil {
			_ = p.Close() // which frees its place
			continue
		}
		select {
		case <-l.free:
		case <-time.After(wait):
		case <-l.gone:
			return net.ErrClosed
		}
	}
}

// oldest returns the connection to close for another one, or how long it is until there is one
// at the latest, if nothing changes. It is called with mu held.
func (l *Listener) oldest() (p *patron, wait time.Duration) {
	wait = time.Minute
	if first := l.fresh.Front(); first != nil {
		p = first.Value.(*patron)
		if wait = time.Until(p.since.Add(freshTime)); wait <= 0 {
			l.closed++
			return p, 0
		}
	}
	if first := l.idle.Front(); first != nil {
		l.closed++
		return first.Value.(*patron), 0
	}
	return nil, wait
}

func (l *Listener) left() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	l.wake()
}

func (l *Listener) wake() {
	select {
	case l.free <- struct{}{}:
	default:
	}
}

// Close closes the listener, not its connections.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.gone) })
	return l.Listener.Close()
}

// Connections returns how many connections are open, how many may be, and how many were
// closed to make a place.
func (l *Listener) Connections() (open, most int, closed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.most, l.closed
}

// patron is a connection that has a place.
type patron struct {
	net.Conn
	of    *Listener
	since time.Time // it is fresh
	in    *list.List
	at    *list.Element
	once  sync.Once
}

// moved notes what the connection does now.
func (p *patron) moved(state http.ConnState) {
	l := p.of
	l.mu.Lock()
	p.leave()
	switch state {
	case http.StateNew:
		p.since, p.in = time.Now(), &l.fresh
	case http.StateIdle:
		p.in = &l.idle
	}
	if p.in != nil {
		p.at = p.in.PushBack(p)
	}
	full := l.open >= l.most
	l.mu.Unlock()
	if full && state == http.StateIdle {
		l.wake()
	}
}

// leave takes the connection off its list. It is called with mu held.
func (p *patron) leave() {
	if p.in != nil {
		p.in.Remove(p.at)
		p.in, p.at = nil, nil
	}
}

// Close closes the connection and frees its place.
func (p *patron) Close() error {
	err := p.Conn.Close()
	p.once.Do(func() {
		p.of.mu.Lock()
		p.leave()
		p.of.mu.Unlock()
		p.of.left()
	})
	return err
}

// CloseWrite is that of a TCP connection: net/http has it flush an answer before it closes.
func (p *patron) CloseWrite() error {
	if c, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
