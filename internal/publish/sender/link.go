package sender

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"receiver/internal/job"
)

// Tap is between a connection of the client library and the network. The library signs in,
// subscribes, sends heartbeats and connects again; messages can be written beside it, because each
// of its writes ends at the end of a protocol message (TestTheLibraryWritesWholeMessages). The zero
// value is ready for one connection.
type Tap struct{ last atomic.Pointer[tapped] }

// tapped is a connection with one writer at a time.
type tapped struct {
	net.Conn
	mu    sync.Mutex
	begun bool        // something was written
	plain atomic.Bool // the protocol itself is, not what TLS or WebSocket make of it
}

func (c *tapped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		c.begun = true
		c.plain.Store(bytes.HasPrefix(p, []byte("CONNECT ")))
	}
	return c.Conn.Write(p)
}

// Options are options of the client library that put the tap in place: before the server that
// inProcess connects to, or before the network if it is nil.
func (t *Tap) Options(inProcess nats.InProcessConnProvider) []nats.Option {
	if inProcess != nil {
		return []nats.Option{nats.InProcessServer(tappedServer{t, inProcess})}
	}
	return []nats.Option{nats.SetCustomDialer(t)}
}

// dialTimeout is the library's own for a connection to one address.
const dialTimeout = nats.DefaultTimeout

// Dial implements nats.CustomDialer.
func (t *Tap) Dial(network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(context.Background(), network, address)
	return t.tap(c, err)
}

func (t *Tap) tap(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	tapped := &tapped{Conn: c}
	t.last.Store(tapped)
	return tapped, nil
}

type tappedServer struct {
	tap    *Tap
	server nats.InProcessConnProvider
}

// InProcessConn implements nats.InProcessConnProvider.
func (s tappedServer) InProcessConn() (net.Conn, error) {
	return s.tap.tap(s.server.InProcessConn())
}

// link writes messages to one connection, as many at once as there are.
type link struct {
	conn *tapped
	wake chan struct{} // with a buffer of one
	gone chan struct{}

	mu    sync.Mutex
	out   []byte
	space chan struct{} // closed when out was taken; nil unless a caller waits
}

// Bounds of a link: the bytes that wait to be written, what it keeps while nothing waits, and how
// long a write may take.
const (
	maxUnwritten = 16 << 20
	maxSpare     = 1 << 20
	writeTimeout = 5 * time.Second
)

func newLink(c *tapped) *link {
	l := &link{conn: c, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	go l.write()
	return l
}

// close ends the link. Messages that are not written yet are dropped.
func (l *link) close() { close(l.gone) }

// add appends a message, unless too many bytes wait: then it returns a channel that is closed when
// there is space again.
func (l *link) add(msg Message, reply string) (full <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.out) >= maxUnwritten {
		if l.space == nil {
			l.space = make(chan struct{})
		}
		return l.space
	}
	l.out = msg.appendTo(l.out, reply)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

func (l *link) write() {
	var spare []byte
	for {
		select {
		case <-l.wake:
		case <-l.gone:
			return
		}
		runtime.Gosched() // callers that are ready add their messages to the same write
		l.mu.Lock()
		out := l.out
		l.out = spare[:0]
		if l.space != nil {
			close(l.space)
			l.space = nil
		}
		l.mu.Unlock()
		_ = l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := l.conn.Write(out); err != nil {
			_ = l.conn.Close() // the library notices, and connects again
			return
		}
		if spare = out; cap(spare) > maxSpare {
			spare = nil // one large body must not stay for ever
		}
	}
}

// Message is one message to be published.
type Message struct {
	Subject string
	// More are further headers, which come before Header, so that the server finds its own at the
	// start.
	Header, More job.Header
	Data         []byte
}

const (
	lineEnd     = "\r\n"
	headerStart = "NATS/1.0" + lineEnd // opens a block of headers
)

// headerSize is the size of the headers in bytes; 0 if there are none.
func (m Message) headerSize() int {
	size := len(m.Header) + len(m.More)
	if size == 0 {
		return 0
	}
	return len(headerStart) + size + len(lineEnd)
}

// appendTo appends the message as a client sends it: PUB, or HPUB if it has headers.
//
// https://docs.nats.io/reference/reference-protocols/nats-protocol and NATS ADR-4 for headers.
func (m Message) appendTo(out []byte, reply string) []byte {
	size := m.headerSize()
	if size == 0 {
		out = append(out, "PUB "...)
	} else {
		out = append(out, "HPUB "...)
	}
	out = append(append(out, m.Subject...), ' ')
	if reply != "" {
		out = append(append(out, reply...), ' ')
	}
	if size > 0 {
		out = append(strconv.AppendInt(out, int64(size), 10), ' ')
	}
	out = append(strconv.AppendInt(out, int64(size+len(m.Data)), 10), lineEnd...)
	if size > 0 {
		out = append(append(out, headerStart...), m.More...)
		out = append(append(out, m.Header...), lineEnd...)
	}
	return append(append(out, m.Data...), lineEnd...)
}

// forLibrary returns the message as one of the client library.
func (m Message) forLibrary(reply string) *nats.Msg {
	return &nats.Msg{Subject: m.Subject, Reply: reply, Header: job.MapOf(m.More, m.Header), Data: m.Data}
}
