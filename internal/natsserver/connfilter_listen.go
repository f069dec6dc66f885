package natsserver

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

// listener is the NATS port. The server accepts every connection and counts them later, so that a
// flood would use up the file descriptors of the store. This listener accepts no more than its
// limit: further connections wait in the kernel, which needs no descriptor, until one that has not
// signed in is ended.
type listener struct {
	*net.TCPListener
	slots  chan struct{} // holds one for each connection
	full   chan<- struct{}
	closed chan struct{}
	close  func()
}

// fullInterval is how often the filter is signalled while connections wait.
const fullInterval = 10 * time.Millisecond

// listen opens the port.
func (f *connFilter) listen(host string, port int) (net.Listener, error) {
	if port == server.RANDOM_PORT {
		port = 0
	}
	config := net.ListenConfig{KeepAlive: -1} // the server sends heartbeats itself
	ln, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	l := &listener{ln.(*net.TCPListener), make(chan struct{}, f.maxConnections()), f.full, make(chan struct{}), nil}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	return l, nil
}

// Accept returns the next connection when one fewer than the limit is open.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		if err := l.wait(); err != nil {
			return nil, err
		}
	}
	conn, err := l.AcceptTCP()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &accepted{conn, sync.OnceFunc(func() { <-l.slots })}, nil
}

// wait waits for a free slot, and has the filter end connections.
func (l *listener) wait() error {
	for {
		select {
		case l.full <- struct{}{}:
		default: // a signal is pending already
		}
		select {
		case l.slots <- struct{}{}:
			return nil
		case <-time.After(fullInterval):
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

// accepted is a connection that frees its slot when it is closed.
type accepted struct {
	*net.TCPConn
	release func()
}

func (c *accepted) Close() error {
	err := c.TCPConn.Close()
	c.release()
	return err
}

// listenAt sets the server's listener. The server uses one that is set when it begins to listen,
// but has no exported way to set it.
func listenAt(ns *server.Server, l net.Listener) error {
	field := reflect.ValueOf(ns).Elem().FieldByName("listener")
	if !field.IsValid() || field.Type() != reflect.TypeFor[net.Listener]() {
		return errors.New("this version of nats-server accepts no listener")
	}
	reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().Set(reflect.ValueOf(l))
	return nil
}
