package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/nats-io/nuid"
)

// wire publishes to the server in this process and hears its acknowledgements. It speaks
// as much of the NATS client protocol as that takes: what the client library does beyond
// it, for servers elsewhere, costs as much as the server's own part of storing an event.
//
// It connects when it is first used and again after it was cut, when the next message
// comes. It is safe for concurrent use.
type wire struct {
	dial  func() (net.Conn, error)
	owner nkeys.KeyPair
	most  int // acknowledgements that are waited for at once

	mu      sync.Mutex
	link    *link // nil unless connected
	closed  bool
	limit   int // of a message, as the server said
	pending map[uint64]*waiter
	last    uint64        // token given out
	room    chan struct{} // closed when there is room again; nil unless somebody waits
	idle    chan struct{} // closed when nothing is pending; nil unless somebody waits
	wg      sync.WaitGroup
}

// link is one connection of a wire.
type link struct {
	conn   net.Conn
	prefix string // of the subjects of acknowledgements
	out    []byte // what is to be written; guarded by the wire's mu
	wake   chan struct{}
	gone   chan struct{} // closed when the connection is
}

// waiter waits for one acknowledgement.
type waiter struct{ done chan answer } // of room for one

// answer is an acknowledgement, or why there is none.
type answer struct {
	data []byte
	err  error
}

// Bounds of a wire: how much may wait to be written, how long a message waits for its turn,
// and how long signing in and a single write may take.
const (
	mostUnwritten = 16 << 20
	turnPatience  = 200 * time.Millisecond
	linkPatience  = 5 * time.Second
)

func newWire(dial func() (net.Conn, error), owner nkeys.KeyPair, most int) *wire {
	return &wire{dial: dial, owner: owner, most: most, pending: map[uint64]*waiter{}}
}

var (
	errTooMany = errors.New("too many messages wait for their acknowledgement")
	errCut     = errors.New("the connection to the embedded NATS server was cut")
	errClosed  = errors.New("the connection to the embedded NATS server is closed")
)

// wait returns the answer to a message that was sent. Its error is ErrUnavailable.
func (w *wire) wait(ctx context.Context, waiting *waiter, token uint64) ([]byte, error) {
	select {
	case a := <-waiting.done:
		waiters.Put(waiting)
		if a.err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, a.err)
		}
		return a.data, nil
	case <-ctx.Done():
		// Its answer may be on its way already, so the waiter is not used again.
		w.forget(token)
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// tell sends a message that asks for no answer.
func (w *wire) tell(ctx context.Context, msg *message, more ...header) error {
	_, _, err := w.send(ctx, msg, false, more)
	return err
}

var waiters = sync.Pool{New: func() any { return &waiter{done: make(chan answer, 1)} }}

// send puts a message with further headers into the link, waiting shortly for its turn if
// there is no room. If it asks for an answer, wait gets it.
func (w *wire) send(ctx context.Context, msg *message, asks bool, more []header) (*waiter, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.turn(ctx, asks); err != nil {
		return nil, 0, err
	}
	if size := headerSize(msg.header, more) + len(msg.data); size > w.limit {
		return nil, 0, fmt.Errorf("a message of %d bytes is over the server's limit of %d", size, w.limit)
	}
	var waiting *waiter
	reply := ""
	if asks {
		w.last++
		waiting = waiters.Get().(*waiter)
		w.pending[w.last] = waiting
		reply = w.link.prefix + strconv.FormatUint(w.last, 36)
	}
	w.link.out = appendMessage(w.link.out, msg, reply, more)
	select {
	case w.link.wake <- struct{}{}:
	default:
	}
	return waiting, w.last, nil
}

// turn waits until there is a link, and room for one message more. It is called and returns
// with mu held.
func (w *wire) turn(ctx context.Context, asks bool) error {
	var late <-chan time.Time
	for {
		if err := w.connect(); err != nil {
			return err
		}
		if len(w.link.out) < mostUnwritten && (!asks || len(w.pending) < w.most) {
			return nil
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		if late == nil {
			late = time.After(turnPatience)
		}
		room := w.room
		w.mu.Unlock()
		var err error
		select {
		case <-room:
		case <-late:
			err = errTooMany
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		w.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// connect makes a link if there is none.
func (w *wire) connect() error {
	if w.closed {
		return errClosed
	}
	if w.link != nil {
		return nil
	}
	conn, err := w.dial()
	if err != nil {
		return fmt.Errorf("connecting to the embedded NATS server: %w", err)
	}
	l := &link{
		conn: conn, prefix: nats.InboxPrefix + nuid.Next() + ".", wake: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	_ = conn.SetDeadline(time.Now().Add(linkPatience))
	r := newLineReader(conn)
	if w.limit, err = signOn(conn, r, w.owner, l.prefix); err != nil {
		_ = conn.Close() // it is of no use
		return fmt.Errorf("signing in to the embedded NATS server: %w", err)
	}
	_ = conn.SetDeadline(time.Time{})
	w.link = l
	w.wg.Go(func() { w.write(l) })
	w.wg.Go(func() { w.read(l, r) })
	return nil
}

// write writes what is put into the link, as much at once as there is.
func (w *wire) write(l *link) {
	var spare []byte
	for {
		select {
		case <-l.wake:
		case <-l.gone:
			return
		}
		runtime.Gosched() // who is ready to send, sends with it
		w.mu.Lock()
		out := l.out
		l.out = spare[:0]
		w.roomier()
		w.mu.Unlock()
		_ = l.conn.SetWriteDeadline(time.Now().Add(linkPatience))
		if _, err := l.conn.Write(out); err != nil {
			w.cut(l, err)
			return
		}
		spare = out
		if cap(spare) > 1<<20 {
			spare = nil // one large body must not stay for ever
		}
	}
}

// read hands answers to who waits for them, until the link is cut.
func (w *wire) read(l *link, r *lineReader) {
	for {
		in, err := r.next()
		if err != nil {
			w.cut(l, err)
			return
		}
		switch {
		case in.ping:
			w.pong(l)
		case in.subject != nil:
			token, err := strconv.ParseUint(string(in.subject[min(len(l.prefix), len(in.subject)):]), 36, 64)
			if err == nil {
				w.answer(token, in)
			}
		}
	}
}

func (w *wire) pong(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.out = append(l.out, "PONG\r\n"...)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (w *wire) answer(token uint64, in incoming) {
	w.mu.Lock()
	waiting := w.pending[token]
	w.done(token)
	w.mu.Unlock()
	if waiting == nil {
		return // it has given up
	}
	a := answer{data: append([]byte(nil), in.data...)}
	if len(in.data) == 0 {
		a = answer{err: fmt.Errorf("JetStream does not answer: %q", in.header)}
	}
	waiting.done <- a
}

func (w *wire) forget(token uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done(token)
}

// done takes a message off what is pending.
func (w *wire) done(token uint64) {
	delete(w.pending, token)
	w.roomier()
	if len(w.pending) == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

func (w *wire) roomier() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// cut ends a link: what waits for an answer has none, and is told why.
func (w *wire) cut(l *link, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link != l {
		return
	}
	_ = l.conn.Close() // it is gone in any case
	close(l.gone)
	w.link = nil
	why = fmt.Errorf("%w: %w", errCut, why)
	for token, waiting := range w.pending {
		waiting.done <- answer{err: why}
		w.done(token)
	}
	w.roomier()
}

// settle waits until nothing is pending.
func (w *wire) settle(ctx context.Context) error {
	w.mu.Lock()
	if len(w.pending) == 0 {
		w.mu.Unlock()
		return nil
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the wire and waits until nothing of it runs any more.
func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	l := w.link
	w.mu.Unlock()
	if l != nil {
		w.cut(l, errClosed)
	}
	w.wg.Wait()
}
