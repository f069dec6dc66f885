package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/logging"
	"receiver/internal/metrics"
	"receiver/internal/web"
)

// Of 64 connections 56 are served, 42 of them of one address, and 8 wait.
const most, places, share = 64, 56, 42

// One address, or two, whose connections come again and again and never end keep nobody out.
func TestOneAddressKeepsNoOtherOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says string
		secure     bool // by TLS too
		half       bool // of a TLS handshake
		again      bool // after each answer
		deaf       bool // to answers
		froms      []string
	}{
		{name: "that say nothing", secure: true},
		{name: "with half a header", says: "POST /slow HTTP/1.1\nHost: x\nX-Half: "},
		{name: "with half a header after an answer", says: "GET / HTTP/1.1\nHost: x\n\nPOST / HTTP/1.1\nHost: x\nX-Half: "},
		{name: "with half a body", says: "POST /body HTTP/1.1\nHost: x\nContent-Length: 10\n\nhalf", secure: true},
		{name: "with half a body in chunks", says: "POST /body HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n10\nhalf"},
		{name: "that wait between two requests", says: "GET / HTTP/1.1\nHost: x\n\n"},
		{name: "that read no answer", says: "GET /much HTTP/1.1\nHost: x\n\n", deaf: true},
		{name: "that are being answered", says: "GET /slow HTTP/1.1\nHost: x\n\n"},
		{name: "that send one request after the other", says: "GET / HTTP/1.1\nHost: x\n\n", again: true},
		{name: "with half a handshake", secure: true, half: true},
		{name: "of two addresses that say nothing", froms: []string{"127.0.0.1", "127.0.0.3"}},
		{name: "of two addresses with half a body", says: "POST /body HTTP/1.1\nHost: x\nContent-Length: 10\n\nhalf", secure: true, froms: []string{"127.0.0.1", "127.0.0.3"}},
		{name: "of two addresses that are being answered", says: "GET /slow HTTP/1.1\nHost: x\n\n", froms: []string{"127.0.0.1", "127.0.0.3"}},
		{name: "of three addresses with half a handshake", secure: true, half: true, froms: []string{"127.0.0.1", "127.0.0.3", "127.0.0.4"}},
	} {
		for _, secure := range []bool{false, true} {
			if secure && !tt.secure || tt.half && !secure {
				continue
			}
			t.Run(fmt.Sprintf("%s, TLS %v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				b := bind(t, web.Bound{Most: most}, secure, nil)
				froms := tt.froms
				if froms == nil {
					froms = []string{"127.0.0.1"}
				}
				for _, from := range froms {
					b.flood(from, most, func(c net.Conn) io.Reader {
						if tt.half {
							_, _ = c.Write([]byte{22, 3, 1, 2, 0, 1}) // a ClientHello begins
							return c
						}
						over := b.client(c)
						if over == nil {
							return c
						}
						for says, err := strings.ReplaceAll(tt.says, "\n", "\r\n"), error(nil); err == nil; {
							_, err = io.WriteString(over, says)
							if !tt.again {
								break
							}
							if err == nil {
								_, err = over.Read(make([]byte, 1<<10))
							}
						}
						if tt.deaf {
							return nil
						}
						return over
					})
				}
				b.until("as many connections as may be", func(c metrics.Connections) bool { return c.Open >= share })
				for i := range 8 {
					c := b.dial("127.0.0.2")
					for range 2 {
						if code := c.get("/"); code != http.StatusNoContent {
							t.Fatalf("connection %d beside the flood was answered %d", i, code)
						}
					}
					if i%2 == 0 {
						_ = c.Close() // the others stay, and wait
					}
				}
				if c := b.ln.Connections(); c.Open > most || c.Most != most || c.Widest > share {
					t.Errorf("%+v, want %d at most, %d of one address", c, most, share)
				}
			})
		}
	}
}

// Connections that count as one address, and those without a share.
func TestConnectionsOfOneShare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, first, second, trusted string
		served                       int // of 56 connections that are being answered
	}{
		{"one address", "192.0.2.1", "192.0.2.1", "", share},
		{"two", "192.0.2.1", "192.0.2.2", "", places},
		{"version 4 in version 6", "::ffff:192.0.2.1", "192.0.2.1", "", share},
		{"a network of 64 bits", "2001:db8::1", "2001:db8::ffff:0:0:2", "", share},
		{"two of them", "2001:db8::1", "2001:db8:0:1::1", "", places},
		{"with another zone", "fe80::1%1", "fe80::1%2", "", share},
		{"a trusted proxy", "192.0.2.1", "192.0.2.1", "192.0.2.0/24", places},
		{"a trusted proxy, in version 6", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.0/24", places},
		{"trusted in version 6", "192.0.2.1", "192.0.2.1", "::ffff:192.0.2.0/120", places},
		{"another one is trusted", "192.0.2.1", "192.0.2.1", "198.51.100.0/24", share},
		{"a socket", "", "", "", places},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bound := web.Bound{Most: most}
			if tt.trusted != "" {
				bound.Trusted = append(bound.Trusted, prefix(t, tt.trusted))
			}
			b := bind(t, bound, false, func(i int) net.Addr {
				who := []string{tt.first, tt.second}[i%2]
				if who == "" {
					return &net.UnixAddr{}
				}
				return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(who), 1024))
			})
			for range places {
				b.slowly()
			}
			b.until("all served that may be", func(metrics.Connections) bool { return b.running() == tt.served })
			b.until("the others wait, or are refused", func(c metrics.Connections) bool {
				return c.Waiting+int(c.Refused+c.Closed) == places-tt.served && c.Waiting <= most-places
			})
		})
	}
}

// Connections of one address give way to others of it: those that wait between two requests at
// once, those that send nothing after a second. Those at work stay, and others wait for their end.
func TestConnectionsOfOneAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says string
		stay       bool
		trusted    bool
	}{
		{"that say nothing", "", false, false},
		{"that wait between two requests", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, false},
		{"with a request under way", "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", true, false},
		{"of a trusted proxy that say nothing", "", false, true},
		{"of a trusted proxy that wait between two requests", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false, true},
		{"of a trusted proxy with a request under way", "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bound, all := web.Bound{Most: most}, share
			if tt.trusted {
				bound.Trusted, all = []netip.Prefix{prefix(t, "127.0.0.0/8")}, places
			}
			b := bind(t, bound, false, nil)
			held := make([]dialled, all)
			for i := range held {
				held[i] = b.dial("127.0.0.1")
				_, _ = io.WriteString(held[i].raw, tt.says)
				if tt.says != "" && !tt.stay {
					if code := held[i].answer(); code != http.StatusNoContent {
						t.Fatalf("answered %d", code)
					}
				}
			}
			b.until("all are open", func(c metrics.Connections) bool { return c.Open == all && (!tt.stay || b.running() == all) })
			last := b.dial("127.0.0.1")
			_, _ = io.WriteString(last.raw, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if tt.stay {
				b.until("one waits", func(c metrics.Connections) bool { return c.Waiting == 1 })
				b.end()
				for _, h := range held {
					if code := h.answer(); code != http.StatusNoContent {
						t.Errorf("a connection at work was answered %d", code)
					}
				}
			}
			if code := last.answer(); code != http.StatusNoContent {
				t.Errorf("the last connection was answered %d", code)
			}
			if c := b.ln.Connections(); c.Closed == 0 || c.Refused != 0 {
				t.Errorf("%+v, want one closed at least, and none refused", c)
			}
		})
	}
}

// Many addresses with one connection each give way to each other: as many are closed as come too
// many. Which of them, TestLongestWaitingConnectionGivesWay shows.
func TestManyAddressesTakeTurns(t *testing.T) {
	t.Parallel()
	b := bind(t, web.Bound{Most: most}, false, func(i int) net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(i))} })
	var held []dialled
	for range 4 * places {
		d := b.dial("127.0.0.1")
		if code := d.get("/"); code != http.StatusNoContent {
			t.Fatalf("answered %d", code)
		}
		held = append(held, d)
	}
	if c := b.ln.Connections(); c.Open != places || c.Closed != 3*places || c.Refused != 0 {
		t.Errorf("%+v, want %d open, and a connection closed for each of the others", c, places)
	}
	last := len(held) - 1
	closed := make(chan error, last)
	for _, d := range held[:last] {
		go func() {
			_, err := d.r.ReadByte()
			closed <- err
		}()
	}
	for range 3 * places {
		if err := <-closed; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a connection that gave way was not closed: %v", err)
		}
	}
	if code := held[last].get("/"); code != http.StatusNoContent {
		t.Errorf("the last connection was answered %d", code)
	}
	b.end()
	for _, d := range held {
		_ = d.Close()
	}
	b.until("nothing is left", func(c metrics.Connections) bool { return c.Open == 0 && c.Widest == 0 })
}

// A log line a minute names the address that has all connections that one may have.
func TestALogNamesTheAddress(t *testing.T) {
	t.Parallel()
	log := &logs{}
	b := bind(t, web.Bound{Most: most, Log: zerolog.New(log)}, false, nil)
	for range 3 * most {
		b.slowly()
	}
	b.until("many are refused", func(c metrics.Connections) bool { return c.Refused+c.Closed > most/2 })
	if lines := log.lines(t); len(lines) != 1 || lines[0]["remote"] != "127.0.0.1/32" || lines[0]["connections"] != float64(share) {
		t.Errorf("logged %v", lines)
	}
}

// A full listener ends as well, and closes the waiting connections.
func TestAFullListenerEnds(t *testing.T) {
	t.Parallel()
	b := bind(t, web.Bound{Most: 1}, false, nil)
	b.slowly()
	b.until("it runs", func(metrics.Connections) bool { return b.running() == 1 })
	waits := b.dial("127.0.0.1")
	b.until("another waits", func(c metrics.Connections) bool { return c.Waiting == 1 })
	for range 3 { // net/http closes it, too
		if err := b.ln.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := waits.r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("what waited was not closed: %v", err)
	}
}

// One that finds no room has to wait a moment. If the listener ends then, it is closed as well.
func TestAFullListenerKeepsNothingThatComesAsItEnds(t *testing.T) {
	t.Parallel()
	inner := &handed{comes: make(chan net.Conn), ended: make(chan struct{})}
	ln := web.NewListener(inner, web.Bound{Most: 1})
	var clients []net.Conn
	hand := func() {
		server, client := net.Pipe()
		clients = append(clients, client)
		inner.comes <- server
	}
	accepted := make(chan error, 2)
	go func() {
		for range 2 {
			_, err := ln.Accept()
			accepted <- err
		}
	}()
	hand() // is served
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	hand() // waits
	hand() // finds no room
	hand() // has come when the one before it is looked at
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept = %v, want net.ErrClosed", err)
	}
	for i, c := range clients[1:] {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("connection %d: Read = %v, want io.EOF", i+1, err)
		}
	}
}

// handed is a listener whose connections a test hands over.
type handed struct {
	comes chan net.Conn
	ended chan struct{}
}

func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.comes:
		return c, nil
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

func (h *handed) Close() error   { close(h.ended); return nil }
func (h *handed) Addr() net.Addr { return &net.TCPAddr{} }

// A socket has no addresses, and its connections no share.
func TestABoundHoldsForASocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	inner, err := net.Listen("unix", path)
	if err != nil {
		t.Skip(err)
	}
	b := serveBound(t, inner, web.Bound{Most: most}, false)
	for range places {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	b.until("all are served", func(metrics.Connections) bool { return b.running() == places })
}

// bounded is a listener under test.
type bounded struct {
	t     *testing.T
	ln    *web.Listener
	tls   *tls.Config // of clients; nil in clear text
	mu    sync.Mutex
	slow  int // requests
	ended chan struct{}
	end   func() // of slow requests
}

// bind serves a listener; who says who the callers are, by their number.
func bind(t *testing.T, bound web.Bound, secure bool, who func(int) net.Addr) *bounded {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if who != nil {
		inner = &disguised{Listener: inner, who: who}
	}
	return serveBound(t, inner, bound, secure)
}

func serveBound(t *testing.T, inner net.Listener, bound web.Bound, secure bool) *bounded {
	t.Helper()
	b := &bounded{t: t, ln: web.NewListener(inner, bound), ended: make(chan struct{})}
	b.end = sync.OnceFunc(func() { close(b.ended) })
	srv := web.NewServer(b, web.Limits{ReadHeader: time.Minute, Read: time.Minute, Write: time.Minute, Idle: time.Minute}, logging.Std(zerolog.Nop(), ""))
	if secure {
		borrowed := httptest.NewUnstartedServer(nil)
		borrowed.StartTLS()
		borrowed.Close()
		srv.TLSConfig = &tls.Config{Certificates: borrowed.TLS.Certificates, MinVersion: tls.VersionTLS13}
		b.tls = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.ln.Serve(srv) }()
	t.Cleanup(func() {
		b.end()
		_ = srv.Close()
		if err := <-stopped; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve = %v", err)
		}
	})
	return b
}

// ServeHTTP answers 204: /slow when the connection or the test ends, /body when the body has come,
// /much with more than is read.
func (b *bounded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/slow":
		b.mu.Lock()
		b.slow++
		b.mu.Unlock()
		select {
		case <-r.Context().Done():
		case <-b.ended:
		}
		b.mu.Lock()
		b.slow--
		b.mu.Unlock()
	case "/body":
		_, _ = io.Copy(io.Discard, r.Body)
	case "/much":
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 1<<20))
		}
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// running is how many slow requests are under way.
func (b *bounded) running() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.slow
}

// until waits up to a minute.
func (b *bounded) until(what string, done func(metrics.Connections) bool) {
	b.t.Helper()
	late := time.After(time.Minute)
	for !done(b.ln.Connections()) {
		select {
		case <-late:
			b.t.Fatalf("not so: %s; %+v, %d slow", what, b.ln.Connections(), b.running())
		case <-time.After(time.Millisecond):
		}
	}
}

// dialled is a connection to it.
type dialled struct {
	net.Conn
	raw net.Conn
	t   *testing.T
	r   *bufio.Reader
}

// dial connects from an address of this machine.
func (b *bounded) dial(from string) dialled {
	b.t.Helper()
	c, err := b.connect(from)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	over := b.client(c)
	if over == nil {
		b.t.Fatal("no handshake")
	}
	return dialled{over, c, b.t, bufio.NewReader(over)}
}

// slowly has a slow request come, which may be refused.
func (b *bounded) slowly() {
	if c, err := b.connect("127.0.0.1"); err == nil {
		b.t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	}
}

func (b *bounded) connect(from string) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return d.Dial("tcp", b.ln.Addr().String())
}

// client does the handshake if there is one.
func (b *bounded) client(c net.Conn) net.Conn {
	if b.tls == nil {
		return c
	}
	over := tls.Client(c, b.tls)
	if over.Handshake() != nil {
		return nil
	}
	return over
}

func (d dialled) get(path string) int {
	_, _ = fmt.Fprintf(d.Conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	return d.answer()
}

// answer returns the code of the next one; 0 if none came.
func (d dialled) answer() int {
	res, err := http.ReadResponse(d.r, nil)
	if err != nil {
		d.t.Logf("no answer: %v", err)
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	if res.ProtoMajor != 1 {
		d.t.Errorf("spoken is %s", res.Proto)
	}
	return res.StatusCode
}

// flood keeps connections open from an address and opens them again when they are closed, until the
// test ends. The func for each returns a reader to read from; nil means that it is kept open.
func (b *bounded) flood(from string, size int, does func(net.Conn) io.Reader) {
	b.t.Helper()
	if c, err := b.connect(from); err != nil {
		b.t.Skipf("this machine has no %s: %v", from, err)
	} else {
		_ = c.Close()
	}
	var all sync.WaitGroup
	ctx, done := context.WithCancel(context.Background())
	b.t.Cleanup(func() { done(); all.Wait() })
	for range size {
		all.Go(func() {
			for ctx.Err() == nil {
				c, err := b.connect(from)
				if err != nil {
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				if r := does(c); r != nil {
					_, _ = io.Copy(io.Discard, r)
				} else {
					<-ctx.Done()
				}
				stop()
				_ = c.Close()
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
}

// disguised has its connections come from others.
type disguised struct {
	net.Listener
	who func(int) net.Addr
	n   int
}

func (l *disguised) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.n++
	return &masked{c, l.who(l.n - 1)}, nil
}

type masked struct {
	net.Conn
	remote net.Addr
}

func (m *masked) RemoteAddr() net.Addr { return m.remote }
