//go:build e2e

package main_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// front is the address that the platform calls: a plain TCP balancer before the
// receivers, which gives each connection to the next that takes it, and which can be
// cut off from the world.
type front struct {
	addr   string
	ctx    context.Context
	behind []string

	mu   sync.Mutex
	turn int
	cut  bool
	open map[net.Conn]bool
	wg   sync.WaitGroup
}

func newFront(t *testing.T, behind ...string) *front {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{addr: ln.Addr().String(), ctx: t.Context(), behind: behind, open: map[net.Conn]bool{}}
	f.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // closed by the cleanup
			}
			f.wg.Go(func() { f.pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		f.setCut(true)
		f.wg.Wait()
	})
	return f
}

// setCut breaks every connection and refuses new ones, until it is called with false.
func (f *front) setCut(cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = cut
	if cut {
		for conn := range f.open {
			_ = conn.Close()
		}
	}
}

// keep notes a connection that a cut must break, and reports whether there is one now.
func (f *front) keep(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut {
		_ = conn.Close()
		return false
	}
	f.open[conn] = true
	return true
}

func (f *front) end(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, conn)
	_ = conn.Close()
}

func (f *front) pass(caller net.Conn) {
	defer f.end(caller)
	if !f.keep(caller) {
		return
	}
	receiver := f.dial()
	if receiver == nil {
		return
	}
	defer f.end(receiver)
	if !f.keep(receiver) {
		return
	}
	f.wg.Go(func() {
		_, _ = io.Copy(receiver, caller) // one of the two has gone
		_ = receiver.Close()
	})
	_, _ = io.Copy(caller, receiver)
}

// dial connects to the next receiver that is there, nil if none is.
func (f *front) dial() net.Conn {
	f.mu.Lock()
	f.turn++
	turn := f.turn
	f.mu.Unlock()
	d := net.Dialer{Timeout: time.Second}
	for i := range f.behind {
		conn, err := d.DialContext(f.ctx, "tcp", f.behind[(turn+i)%len(f.behind)])
		if err == nil {
			return conn
		}
	}
	return nil
}
