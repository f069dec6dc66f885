// Package sender publishes messages to streams, and says what JetStream answers. It does so beside
// the client library, on its connection: the library signs in, and connects again.
package sender

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"receiver/internal/publish/conn"
)

// Sender publishes to streams, and receives all acknowledgements by one subscription. Through
// JetStream's publisher in the client library a message would cost a timer, two channels, two maps
// and a JSON decoder. It is safe for concurrent use.
type Sender struct {
	nc     *nats.Conn
	tap    *Tap
	link   atomic.Pointer[link] // nil while there is no connection, or one that cannot be tapped
	prefix string               // of the subjects of acknowledgements
	slots  []slot
	free   chan *slot // those that no message uses
	status chan nats.Status
	closed chan struct{}

	connections atomic.Uint64
}

// slot is where one message waits for its acknowledgement.
type slot struct {
	waiting atomic.Uint64 // token of the message; zero if none waits
	last    uint64        // token given out; of the message that has the slot
	done    chan answer   // with a buffer of one
}

type answer struct {
	seq uint64
	err error
}

// queueTimeout is how long a message waits for a slot, or for space.
const queueTimeout = 200 * time.Millisecond

var (
	errTooMany      = errors.New("too many messages wait for their acknowledgement")
	errDisconnected = errors.New("the connection to NATS was lost before the answer")
)

// New returns a Sender on a connection that was made with the tap's options, with at most so many
// acknowledgements outstanding. It must be closed before the connection is.
func New(nc *nats.Conn, tap *Tap, most int) (*Sender, error) {
	s := &Sender{
		nc: nc, tap: tap, prefix: nc.NewInbox() + ".",
		slots: make([]slot, most), free: make(chan *slot, most), closed: make(chan struct{}),
	}
	for i := range s.slots {
		s.slots[i].last, s.slots[i].done = uint64(i), make(chan answer, 1)
		s.free <- &s.slots[i]
	}
	// The library's limits of a subscription hold: acknowledgements are far below them, and other
	// clients of the account may publish to its subjects.
	_, err := nc.Subscribe(s.prefix+"*", s.receive)
	if err == nil {
		err = nc.Flush() // the server knows the subscription before the first message
	}
	if err != nil {
		return nil, fmt.Errorf("subscribing to acknowledgements: %w", err)
	}
	s.status = nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	s.connected()
	go s.follow()
	return s, nil
}

// connected begins to write beside the library, unless the server expects the messages within TLS
// or WebSocket, whose frames the library makes.
func (s *Sender) connected() {
	s.connections.Add(1)
	c := s.tap.last.Load()
	if c == nil || !c.plain.Load() || !s.nc.IsConnected() { // asked last: it waits for the subscriptions
		return
	}
	if before := s.link.Swap(newLink(c)); before != nil {
		before.close()
	}
}

// Connections returns how many connections there were so far.
func (s *Sender) Connections() uint64 { return s.connections.Load() }

// follow keeps to the connection that the library has, until the Sender is closed.
func (s *Sender) follow() {
	defer close(s.closed)
	defer s.disconnected()
	for status := range s.status {
		if status == nats.CONNECTED {
			s.connected()
		} else {
			s.disconnected()
		}
	}
}

// disconnected fails the messages that wait: their answers are lost with the connection.
func (s *Sender) disconnected() {
	if l := s.link.Swap(nil); l != nil {
		l.close()
	}
	for i := range s.slots {
		at := &s.slots[i]
		if token := at.waiting.Load(); token > 0 && at.waiting.CompareAndSwap(token, 0) {
			at.done <- answer{err: fmt.Errorf("%w: %w", conn.ErrUnavailable, errDisconnected)}
		}
	}
}

// Close ends the Sender. Messages that wait fail.
func (s *Sender) Close() {
	s.nc.RemoveStatusListener(s.status)
	<-s.closed
}

// Answer is a future acknowledgement.
type Answer struct {
	sender *Sender
	slot   *slot
	token  uint64
}

// Send publishes a message and returns its future acknowledgement, whose Wait must be called. The
// messages of one caller are stored in their order. The error is conn.ErrUnavailable.
func (s *Sender) Send(ctx context.Context, msg Message) (Answer, error) {
	at, err := s.take(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
	}
	at.last += uint64(len(s.slots))
	at.waiting.Store(at.last)
	a := Answer{s, at, at.last}
	if err := s.publish(ctx, msg, s.prefix+strconv.FormatUint(at.last, 36)); err != nil {
		a.giveUp()
		return Answer{}, err
	}
	return a, nil
}

// SendUnacknowledged publishes a message without a reply subject. The error is conn.ErrUnavailable.
func (s *Sender) SendUnacknowledged(ctx context.Context, msg Message) error {
	return s.publish(ctx, msg, "")
}

// publish writes a message, beside the library if that is possible.
func (s *Sender) publish(ctx context.Context, msg Message, reply string) error {
	l := s.link.Load()
	if l == nil {
		if err := s.nc.PublishMsg(msg.forLibrary(reply)); err != nil {
			return fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
		}
		return nil
	}
	if size, most := int64(msg.headerSize()+len(msg.Data)), s.nc.MaxPayload(); size > most {
		return fmt.Errorf("%w: a message of %d bytes is over the server's limit of %d", conn.ErrUnavailable, size, most)
	}
	full := l.add(msg, reply)
	if full == nil {
		return nil
	}
	late := time.NewTimer(queueTimeout)
	defer late.Stop()
	for ; full != nil; full = l.add(msg, reply) {
		select {
		case <-full:
		case <-late.C:
			return fmt.Errorf("%w: %w", conn.ErrUnavailable, errTooMany)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", conn.ErrUnavailable, context.Cause(ctx))
		}
	}
	return nil
}

// take takes a slot.
func (s *Sender) take(ctx context.Context) (*slot, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	select {
	case at := <-s.free:
		return at, nil
	default:
	}
	late := time.NewTimer(queueTimeout)
	defer late.Stop()
	select {
	case at := <-s.free:
		return at, nil
	case <-late.C:
		return nil, errTooMany
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Wait returns the sequence under which the message is stored. The error is as JetStream gave it if
// it was its answer to a condition, else conn.ErrUnavailable; the message may be stored all the
// same. It is called once.
func (a Answer) Wait(ctx context.Context) (uint64, error) {
	select {
	case got := <-a.slot.done:
		a.sender.free <- a.slot
		return got.seq, got.err
	case <-ctx.Done():
		if got, ok := a.giveUp(); ok {
			return got.seq, got.err
		}
		return 0, fmt.Errorf("%w: %v", conn.ErrUnavailable, context.Cause(ctx))
	}
}

// giveUp gives the slot back. It returns the answer if one has come just now.
func (a Answer) giveUp() (got answer, came bool) {
	if !a.slot.waiting.CompareAndSwap(a.token, 0) {
		got, came = <-a.slot.done, true
	}
	a.sender.free <- a.slot
	return got, came
}

// receive passes an acknowledgement to the message that waits for it, unless it has given up.
func (s *Sender) receive(m *nats.Msg) {
	token, err := strconv.ParseUint(m.Subject[len(s.prefix):], 36, 64)
	if err != nil || token == 0 { // zero is that of a slot in which nothing waits
		return
	}
	if at := &s.slots[token%uint64(len(s.slots))]; at.waiting.CompareAndSwap(token, 0) {
		seq, err := readAck(m)
		at.done <- answer{seq, err}
	}
}

// Drain waits until no message waits for its acknowledgement. No other may be sent meanwhile.
func (s *Sender) Drain(ctx context.Context) error {
	taken := make([]*slot, 0, len(s.slots))
	defer func() {
		for _, at := range taken {
			s.free <- at
		}
	}()
	for range s.slots {
		select {
		case at := <-s.free:
			taken = append(taken, at)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
