package edge_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/edge"
)

// cable is the link between an edge and its hub. A cut closes its connections and refuses new ones;
// see natstest.Wall for a link that falls silent.
type cable struct {
	ln   net.Listener
	to   string
	pace atomic.Int64 // to the hub, in bytes a second; 0 is no limit
	sent atomic.Int64 // bytes to the hub

	mu  sync.Mutex
	cut bool
	all map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{ln: ln, to: to, all: map[net.Conn]bool{}}
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go c.pass(in)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		c.set(true)
	})
	return c
}

func (c *cable) pass(in net.Conn) {
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		_ = in.Close()
		return
	}
	c.mu.Lock()
	if c.cut {
		_, _ = in.Close(), out.Close()
	}
	c.all[in], c.all[out] = true, true
	c.mu.Unlock()
	go func() {
		_, _ = io.Copy(paced{out, c}, in)
		_ = out.Close()
	}()
	_, _ = io.Copy(in, out)
	_ = in.Close()
}

// paced is a connection to the hub that sends at the cable's pace.
type paced struct {
	net.Conn
	c *cable
}

func (p paced) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		some := b[:min(len(b), 4<<10)]
		if pace := p.c.pace.Load(); pace > 0 {
			<-time.After(time.Duration(len(some)) * time.Second / time.Duration(pace))
		}
		var m int
		m, err = p.Conn.Write(some)
		p.c.sent.Add(int64(m))
		n, b = n+m, b[m:]
	}
	return n, err
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for conn := range c.all {
		if cut {
			_ = conn.Close()
		}
	}
	if cut {
		c.all = map[net.Conn]bool{}
	}
}

func (c *cable) addr() string { return c.ln.Addr().String() }

// testEdge is an edge: its server, its store, and its forwarder while one runs.
type testEdge struct {
	t      *testing.T
	e      natsserver.Embedded
	server *natsserver.Server
	*publish.Store
	f       *edge.Forwarder
	timeout time.Duration // of a request to the hub
	logs    natstest.Logs
	halt    func()
	stop    func()
}

// newEdge starts an edge of a hub at an address, without a forwarder.
func newEdge(t *testing.T, name, hub string) *testEdge {
	t.Helper()
	r := &testEdge{t: t, e: natstest.EmbeddedEdge(t.TempDir(), name, hub), timeout: 2 * time.Second}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *testEdge) start() {
	r.t.Helper()
	r.e.Log = r.logs.Logger()
	var err error
	if r.server, err = natsserver.Start(r.e); err != nil {
		r.t.Fatal(err)
	}
	if r.Store, err = publish.Open(r.t.Context(), r.server, conn.Options{Timeout: natstest.LongTimeout, Streams: conn.Streams{Forwarded: true}}); err != nil {
		r.t.Fatal(err)
	}
	r.halt = func() {}
	server, bus := r.server, r.Store
	r.stop = sync.OnceFunc(func() {
		r.halt()
		if err := bus.Close(context.Background()); err != nil {
			r.t.Error(err)
		}
		server.Stop()
	})
}

// forward starts the forwarder; halt and stop end it.
func (r *testEdge) forward() {
	r.t.Helper()
	hub, err := r.server.Hub()
	if err != nil {
		r.t.Fatal(err)
	}
	store, err := r.server.StoreKey()
	if err != nil {
		r.t.Fatal(err)
	}
	if r.f, err = edge.New(r.t.Context(), edge.Options{
		Local: r.JetStream(), Folder: r.e.Folder, Name: r.e.Edge.Name, Store: store, Hub: hub, Domain: r.e.Edge.Domain,
		Uplink: r.server.Uplink, Log: r.logs.Logger(),
	}); err != nil {
		r.t.Fatal(err)
	}
	if r.timeout > 0 {
		r.f.SetTimeout(r.timeout)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.f.Run(ctx)
	}()
	r.halt = sync.OnceFunc(func() {
		cancel()
		<-done
	})
}

// survey reads the facts of the edge as another process does.
func (r *testEdge) survey(o conn.Options) (edge.Facts, error) {
	at, err := natsserver.Running(r.e.Folder)
	if err != nil {
		return edge.Facts{}, err
	}
	return edge.Survey(r.t.Context(), at, r.e.Folder, o)
}

// link returns the state of the link.
func (r *testEdge) link() edge.Link {
	r.t.Helper()
	l, err := r.f.Link(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// drained waits until the hub has everything.
func (r *testEdge) drained() {
	r.t.Helper()
	natstest.Eventually(r.t, "the hub to have everything of "+r.e.Edge.Name, func() bool {
		l, err := r.f.Link(r.t.Context()) // this needs the edge's own connection
		return err == nil && l.Up && l.Streams[0].Behind == 0 && l.Streams[1].Behind == 0
	})
}

// answerTimeout is the timeout of an answer that is not expected.
const answerTimeout = 200 * time.Millisecond

// backup copies a folder, and returns a function that restores it.
func backup(t *testing.T, folder string) (putBack func()) {
	t.Helper()
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.CopyFS(kept, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(folder, os.DirFS(kept)); err != nil {
			t.Fatal(err)
		}
	}
}
