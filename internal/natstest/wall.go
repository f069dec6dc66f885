package natstest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
)

// Wall stands between a client and a server, and can stop letting anything through
// without closing a connection, as a cut line does.
type Wall struct {
	Listener net.Listener
	judge    Judge
	mu       sync.Mutex
	shut     chan struct{} // closed while things pass
	all      []net.Conn
}

// NewWall makes a wall before a server.
func NewWall(t *testing.T, to string) *Wall {
	t.Helper()
	return NewJudgingWall(t, to, nil)
}

// NewJudgingWall makes a wall that answers requests in the place of the server.
func NewJudgingWall(t *testing.T, to string, judge Judge) *Wall {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wall{Listener: ln, judge: judge, shut: make(chan struct{})}
	close(w.shut)
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			w.mu.Lock()
			w.all = append(w.all, in, out)
			w.mu.Unlock()
			go w.send(in, out)
			go w.pass(out, in)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		w.Open()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, c := range w.all {
			_ = c.Close()
		}
	})
	return w
}

// URL is where clients connect to.
func (w *Wall) URL() string { return fmt.Sprintf("nats://%s", w.Listener.Addr()) }

func (w *Wall) pass(from, to net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		shut := w.shut
		w.mu.Unlock()
		<-shut
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Close lets nothing through any more.
func (w *Wall) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = make(chan struct{})
}

// Open lets everything through again, also what waited.
func (w *Wall) Open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.shut:
	default:
		close(w.shut)
	}
}
