package publish_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// cable is the line between an edge and its hub. A cut one breaks what runs through it and
// lets nothing begin; see wall for one that falls silent.
type cable struct {
	ln   net.Listener
	to   string
	pace atomic.Int64 // to the hub, in bytes a second; 0 is as fast as it goes
	sent atomic.Int64 // bytes that went to the hub

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

// paced is a connection to the hub that takes what it is given at the cable's pace.
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

// newHub runs a server that edges are leaves of, with streams as its receivers make them.
func newHub(t *testing.T) (*somebodys, *publish.Bus) {
	t.Helper()
	hub := somebodysServerWith(t, server.Options{
		JetStreamDomain: "hub", LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true},
	})
	return hub, dial(t, hub.external(), publish.Options{})
}

// leaves is where the hub takes leaf nodes.
func (s *somebodys) leaves() string { return fmt.Sprintf("127.0.0.1:%d", s.options.LeafNode.Port) }

// rim is an edge: its store, and what forwards from it while it does.
type rim struct {
	t      *testing.T
	e      publish.Embedded
	server *publish.Server
	*publish.Bus
	f       *publish.Forwarder
	timeout time.Duration // of a question to the hub
	logs    logs
	halt    func()
	stop    func()
}

// newRim starts an edge of a hub at an address; it forwards nothing yet.
func newRim(t *testing.T, name, hub string) *rim {
	t.Helper()
	e := embedded(t.TempDir())
	e.Edge = &publish.Edge{Name: name, Hub: publish.External{URLs: []string{"nats://" + hub}}, Domain: "hub"}
	r := &rim{t: t, e: e, timeout: 2 * time.Second}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rim) start() {
	r.t.Helper()
	r.e.Log = r.logs.logger()
	var err error
	if r.server, err = publish.Start(r.e); err != nil {
		r.t.Fatal(err)
	}
	if r.Bus, err = r.server.Open(r.t.Context(), publish.Options{Streams: publish.Streams{Forwarded: true}}); err != nil {
		r.t.Fatal(err)
	}
	r.halt = func() {}
	server, bus := r.server, r.Bus
	r.stop = sync.OnceFunc(func() {
		r.halt()
		if err := bus.Close(context.Background()); err != nil {
			r.t.Error(err)
		}
		server.Stop()
	})
}

// forward forwards until halt or stop.
func (r *rim) forward() {
	r.t.Helper()
	var err error
	if r.f, err = r.server.Forwarder(r.Bus, publish.ForwarderOptions{Log: r.logs.logger(), Timeout: r.timeout}); err != nil {
		r.t.Fatal(err)
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

// line is how the edge stands.
func (r *rim) line() publish.Line {
	r.t.Helper()
	l, err := r.f.Line(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// drained waits until the hub has everything.
func (r *rim) drained() {
	r.t.Helper()
	eventually(r.t, "the hub to have everything of "+r.e.Edge.Name, func() bool {
		l, err := r.f.Line(r.t.Context()) // which needs the edge's own connection
		return err == nil && l.Up && l.Streams[0].Behind == 0 && l.Streams[1].Behind == 0
	})
}

// everything returns the messages of a stream at the hub, in order.
func (s *somebodys) everything(stream string) (all []publish.Message) {
	s.t.Helper()
	st, err := s.jetstream().Stream(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	for seq := uint64(1); seq <= st.CachedInfo().State.LastSeq; seq++ {
		m, err := st.GetMsg(s.t.Context(), seq)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, publish.Message{Subject: m.Subject, Sequence: m.Sequence, Header: m.Header, Data: m.Data})
	}
	return all
}

// holds returns how many messages a stream of the hub has on a subject.
func (s *somebodys) holds(stream, subject string) int {
	s.t.Helper()
	st, err := s.jetstream().Stream(s.t.Context(), stream)
	if err != nil {
		return 0 // nobody made it yet
	}
	info, err := st.Info(s.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		s.t.Fatal(err)
	}
	n := uint64(0)
	for _, of := range info.State.Subjects {
		n += of
	}
	return int(n)
}

// forwarded returns how many of them came through an edge.
func (s *somebodys) forwarded(stream, subject string) (n int) {
	s.t.Helper()
	for _, m := range s.everything(stream) {
		if _, marked, _ := job.ParseEdge(m.Header); marked && server.SubjectsCollide(m.Subject, subject) {
			n++
		}
	}
	return n
}

// inOrder fails the test unless each edge's records stand at the hub in the order in which
// they stand here.
func (s *somebodys) inOrder(stream string) {
	s.t.Helper()
	last := map[string]uint64{}
	for _, m := range s.everything(stream) {
		e, marked, err := job.ParseEdge(m.Header)
		if err != nil || !marked || e.Stream != stream {
			continue
		}
		if e.Sequence <= last[e.Store] {
			s.t.Errorf("%s of %s comes after %d at the hub", e.Record(), e.Name, last[e.Store])
		}
		last[e.Store] = e.Sequence
	}
}

// answerPatience is how long an answer is waited for that must not come.
const answerPatience = 200 * time.Millisecond

// called is a callback's event, with what proves it.
func called(k job.Kind, id, status string) job.Event {
	e := event(k, id, status)
	e.Receipt = &job.Receipt{
		Signature: "sha256=abc", Key: "first", Fingerprint: "sha256:1", Remote: "192.0.2.7", Received: e.Time, Request: "{}",
	}
	return e
}

// last returns the newest message on a subject of a stream of the hub.
func (s *somebodys) last(stream, subject string) publish.Message {
	s.t.Helper()
	st, err := s.jetstream().Stream(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := st.GetLastMsgForSubject(s.t.Context(), subject)
	if err != nil {
		s.t.Fatalf("%s at the hub: %v", subject, err)
	}
	return publish.Message{Subject: m.Subject, Sequence: m.Sequence, Header: m.Header, Data: m.Data}
}

// backup keeps a folder as it is, and returns what puts it back into its place.
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
