// Package wire publishes to a NATS server inside this process, without the client library.
//
// It saves time and decides nothing: without it, everything is published by the client library.
package wire

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

// Conn publishes to the server in this process and receives its acknowledgements. It speaks only
// the part of the NATS client protocol that publishing needs: the rest of the client library, which
// is for servers elsewhere, costs as much as the server's own part of storing an event.
//
// It connects when it is first used, and again at the next message after the connection was closed.
// It is safe for concurrent use.
type Conn struct {
	dial       func() (net.Conn, error)
	owner      nkeys.KeyPair
	maxPending int // acknowledgements that are waited for at once

	mu      sync.Mutex
	link    *link // nil unless connected
	closed  bool
	limit   int // of a message, as the server announced
	pending map[uint64]*waiter
	last    uint64        // token given out
	space   chan struct{} // closed when there is space again; nil unless a caller waits
	idle    chan struct{} // closed when nothing is pending; nil unless a caller waits
	wg      sync.WaitGroup
}

// link is one connection of a Conn.
type link struct {
	conn   net.Conn
	prefix string // of the subjects of acknowledgements
	out    []byte // bytes to be written; guarded by the Conn's mu
	wake   chan struct{}
	gone   chan struct{} // closed when the connection is
}

// waiter waits for one acknowledgement.
type waiter struct{ done chan answer } // with a buffer of one

// answer is an acknowledgement, or why there is none.
type answer struct {
	data []byte
	err  error
}

// Bounds of a Conn: how many bytes may wait to be written, how long a message waits for space, and
// how long signing in and a single write may take.
const (
	maxUnwritten = 16 << 20
	queueTimeout = 200 * time.Millisecond
	ioTimeout    = 5 * time.Second
)

// New returns a Conn that connects by dial, signs in with the owner's key, and has at most
// maxPending acknowledgements outstanding.
func New(dial func() (net.Conn, error), owner nkeys.KeyPair, most int) *Conn {
	return &Conn{dial: dial, owner: owner, maxPending: most, pending: map[uint64]*waiter{}}
}

var (
	errTooMany = errors.New("too many messages wait for their acknowledgement")
	errCut     = errors.New("the connection to the embedded NATS server was cut")
	errClosed  = errors.New("the connection to the embedded NATS server is closed")
)

// Answer is a future acknowledgement.
type Answer struct {
	conn    *Conn
	waiting *waiter
	token   uint64
}

// Wait returns the answer of JetStream. After an error the message may be stored all the same.
func (a Answer) Wait(ctx context.Context) ([]byte, error) {
	select {
	case answer := <-a.waiting.done:
		waiters.Put(a.waiting)
		return answer.data, answer.err
	case <-ctx.Done():
		// Its answer may be in flight, so the waiter is not used again.
		a.conn.forget(a.token)
		return nil, context.Cause(ctx)
	}
}

// PublishNoReply sends a message without a reply subject.
func (w *Conn) PublishNoReply(ctx context.Context, msg Message) error {
	_, err := w.enqueue(ctx, msg, false)
	return err
}

// Publish sends a message with a reply subject. The messages of one caller are stored in their
// order.
func (w *Conn) Publish(ctx context.Context, msg Message) (Answer, error) {
	return w.enqueue(ctx, msg, true)
}

var waiters = sync.Pool{New: func() any { return &waiter{done: make(chan answer, 1)} }}

// enqueue puts a message into the link's buffer, and waits shortly if there is no space.
func (w *Conn) enqueue(ctx context.Context, msg Message, asks bool) (Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.waitForSpace(ctx, asks); err != nil {
		return Answer{}, err
	}
	if size := msg.headerSize() + len(msg.Data); size > w.limit {
		return Answer{}, fmt.Errorf("a message of %d bytes is over the server's limit of %d", size, w.limit)
	}
	var answer Answer
	reply := ""
	if asks {
		w.last++
		answer = Answer{w, waiters.Get().(*waiter), w.last}
		w.pending[w.last] = answer.waiting
		reply = w.link.prefix + strconv.FormatUint(w.last, 36)
	}
	w.link.out = msg.appendTo(w.link.out, reply)
	select {
	case w.link.wake <- struct{}{}:
	default:
	}
	return answer, nil
}

// waitForSpace waits until there is a link with space for one message more. It is called and
// returns with mu held.
func (w *Conn) waitForSpace(ctx context.Context, asks bool) error {
	var late <-chan time.Time
	for {
		if err := w.connect(); err != nil {
			return err
		}
		if len(w.link.out) < maxUnwritten && (!asks || len(w.pending) < w.maxPending) {
			return nil
		}
		if w.space == nil {
			w.space = make(chan struct{})
		}
		if late == nil {
			late = time.After(queueTimeout)
		}
		space := w.space
		w.mu.Unlock()
		var err error
		select {
		case <-space:
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
func (w *Conn) connect() error {
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
	_ = conn.SetDeadline(time.Now().Add(ioTimeout))
	r := newLineReader(conn)
	if w.limit, err = signIn(conn, r, w.owner, l.prefix); err != nil {
		_ = conn.Close() // it is of no use
		return fmt.Errorf("signing in to the embedded NATS server: %w", err)
	}
	_ = conn.SetDeadline(time.Time{})
	w.link = l
	w.wg.Go(func() { w.write(l) })
	w.wg.Go(func() { w.read(l, r) })
	return nil
}

// write writes the link's buffer, as much at once as there is.
func (w *Conn) write(l *link) {
	var spare []byte
	for {
		select {
		case <-l.wake:
		case <-l.gone:
			return
		}
		runtime.Gosched() // callers that are ready add their messages to the same write
		w.mu.Lock()
		out := l.out
		l.out = spare[:0]
		w.signalSpace()
		w.mu.Unlock()
		_ = l.conn.SetWriteDeadline(time.Now().Add(ioTimeout))
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

// read passes answers to their waiters until the link is closed.
func (w *Conn) read(l *link, r *lineReader) {
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

func (w *Conn) pong(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.out = append(l.out, "PONG\r\n"...)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (w *Conn) answer(token uint64, in incoming) {
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

func (w *Conn) forget(token uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done(token)
}

// done removes a message from the pending ones.
func (w *Conn) done(token uint64) {
	delete(w.pending, token)
	w.signalSpace()
	if len(w.pending) == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

func (w *Conn) signalSpace() {
	if w.space != nil {
		close(w.space)
		w.space = nil
	}
}

// cut closes a link: every pending message gets an error with the reason.
func (w *Conn) cut(l *link, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link != l {
		return
	}
	_ = l.conn.Close() // it is unusable in any case
	close(l.gone)
	w.link = nil
	why = fmt.Errorf("%w: %w", errCut, why)
	for token, waiting := range w.pending {
		waiting.done <- answer{err: why}
		w.done(token)
	}
	w.signalSpace()
}

// Drain waits until nothing is pending.
func (w *Conn) Drain(ctx context.Context) error {
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

// Close ends the Conn and waits until its goroutines have ended.
func (w *Conn) Close() {
	w.mu.Lock()
	w.closed = true
	l := w.link
	w.mu.Unlock()
	if l != nil {
		w.cut(l, errClosed)
	}
	w.wg.Wait()
}
