package publish

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// listener is the NATS port. The server takes every connection that comes and counts them
// later, so that a flood uses up the file descriptors that the store wants. This one takes no
// more than there is room for: what comes then waits in the system, which uses no descriptor,
// until somebody goes who has not signed in.
type listener struct {
	*net.TCPListener
	room    chan struct{} // holds one for each connection
	crowded chan<- struct{}
	closed  chan struct{}
	close   func()
}

// crowdTick is after what time the gate is told again.
const crowdTick = 10 * time.Millisecond

// listen opens the port.
func (g *gate) listen(host string, port int) (net.Listener, error) {
	if port == server.RANDOM_PORT {
		port = 0
	}
	config := net.ListenConfig{KeepAlive: -1} // the server looks for signs of life itself
	ln, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	l := &listener{ln.(*net.TCPListener), make(chan struct{}, g.room()), g.crowded, make(chan struct{}), nil}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	return l, nil
}

// Accept returns the next connection when there is room for it.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	default:
		if err := l.wait(); err != nil {
			return nil, err
		}
	}
	conn, err := l.AcceptTCP()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &accepted{conn, sync.OnceFunc(func() { <-l.room })}, nil
}

// wait waits for room, and has the gate make some.
func (l *listener) wait() error {
	for {
		select {
		case l.crowded <- struct{}{}:
		default: // it is told already
		}
		select {
		case l.room <- struct{}{}:
			return nil
		case <-time.After(crowdTick):
		case <-l.closed:
			return net.ErrClosed
		}
	}
}

// Close ends Accept.
func (l *listener) Close() error {
	l.close()
	return l.TCPListener.Close()
}

// accepted is a connection that gives its place free.
type accepted struct {
	*net.TCPConn
	leave func()
}

func (c *accepted) Close() error {
	err := c.TCPConn.Close()
	c.leave()
	return err
}

// listenAt gives the server its listener. It uses one that is there when it begins to listen,
// though it has no way for others to put it there.
func listenAt(ns *server.Server, l net.Listener) error {
	field := reflect.ValueOf(ns).Elem().FieldByName("listener")
	if !field.IsValid() || field.Type() != reflect.TypeFor[net.Listener]() {
		return errors.New("this version of nats-server takes no listener")
	}
	reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().Set(reflect.ValueOf(l))
	return nil
}
