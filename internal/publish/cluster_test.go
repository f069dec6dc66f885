package publish_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/publish"
)

// somebodys is a NATS server as somebody else runs it, on a port and a folder that
// outlive it.
type somebodys struct {
	t       *testing.T
	options server.Options
	ns      *server.Server
	nc      *nats.Conn
	js      jetstream.JetStream
}

// somebodysServer runs a server; maxPayload 0 means its default.
func somebodysServer(t *testing.T, maxPayload int32) *somebodys {
	t.Helper()
	return somebodysServerWith(t, server.Options{MaxPayload: maxPayload})
}

// somebodysServerWith runs a server that is special in what is given.
func somebodysServerWith(t *testing.T, o server.Options) *somebodys {
	t.Helper()
	o.Host, o.Port, o.StoreDir, o.JetStream, o.NoLog, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, t.TempDir(), true, true, true
	s := &somebodys{t: t, options: o}
	s.start()
	t.Cleanup(s.stop)
	s.options.Port = s.ns.Addr().(*net.TCPAddr).Port
	return s
}

// serverWithout runs a server that has no JetStream. One whose JetStream is disabled as soon as it
// is up may panic: its workers begin late on a busy machine (nats-server 2.15).
func serverWithout(t *testing.T) *somebodys {
	t.Helper()
	s := &somebodys{t: t, options: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true}}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *somebodys) start() {
	s.t.Helper()
	o := s.options
	ns, err := server.NewServer(&o)
	if err != nil {
		s.t.Fatal(err)
	}
	ns.Start()
	if !ns.ReadyForConnections(time.Minute) {
		s.t.Fatal("the server did not get ready")
	}
	s.ns, s.options.LeafNode.Port = ns, o.LeafNode.Port
}

func (s *somebodys) stop() {
	if s.nc != nil {
		s.nc.Close()
		s.nc, s.js = nil, nil
	}
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// jetstream is a connection of the somebody's own.
func (s *somebodys) jetstream() jetstream.JetStream {
	s.t.Helper()
	if s.js == nil {
		var err error
		if s.nc, err = nats.Connect(s.ns.ClientURL()); err != nil {
			s.t.Fatal(err)
		}
		if s.js, err = jetstream.New(s.nc, jetstream.WithDefaultTimeout(time.Minute)); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.js
}

// messages is how many messages clients have sent.
func (s *somebodys) messages() int64 {
	s.t.Helper()
	v, err := s.ns.Varz(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return v.InMsgs
}

func (s *somebodys) external() publish.External {
	return publish.External{URLs: []string{s.ns.ClientURL()}}
}

func dial(t *testing.T, e publish.External, o publish.Options) *publish.Bus {
	t.Helper()
	b, err := publish.Dial(t.Context(), e, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

// logs collects what is logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() zerolog.Logger { return zerolog.New(l) }

// wall stands between a client and a server, and can stop letting anything through
// without closing a connection, as a cut line does.
type wall struct {
	ln   net.Listener
	mu   sync.Mutex
	shut chan struct{} // closed while things pass
	all  []net.Conn
}

func newWall(t *testing.T, to string) *wall {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wall{ln: ln, shut: make(chan struct{})}
	close(w.shut)
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			w.mu.Lock()
			w.all = append(w.all, in, out)
			w.mu.Unlock()
			go w.pass(in, out)
			go w.pass(out, in)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		w.open()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, c := range w.all {
			_ = c.Close()
		}
	})
	return w
}

func (w *wall) url() string { return fmt.Sprintf("nats://%s", w.ln.Addr()) }

func (w *wall) pass(from, to net.Conn) {
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

func (w *wall) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut = make(chan struct{})
}

func (w *wall) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.shut:
	default:
		close(w.shut)
	}
}
