package natstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/cluster"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Server is a NATS server as an operator runs it, on a port and a folder that outlive it.
type Server struct {
	T       *testing.T
	Options server.Options
	NATS    *server.Server
	Conn    *nats.Conn
	JS      jetstream.JetStream
}

// NewServer runs a server; maxPayload 0 means its default.
func NewServer(t *testing.T, maxPayload int32) *Server {
	t.Helper()
	return NewServerWith(t, server.Options{MaxPayload: maxPayload})
}

// NewServerWith runs a server that is special in what is given.
func NewServerWith(t *testing.T, o server.Options) *Server {
	t.Helper()
	o.Host, o.Port, o.StoreDir, o.JetStream, o.NoLog, o.NoSigs = "127.0.0.1", freePort(t), t.TempDir(), true, true, true
	if o.LeafNode.Port == server.RANDOM_PORT {
		o.LeafNode.Port = freePort(t)
	}
	s := &Server{T: t, Options: o}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// NewServerWithoutJetStream runs a server that has no JetStream. One whose JetStream is disabled as
// soon as it is up may panic: its workers begin late on a busy machine (nats-server 2.15).
func NewServerWithoutJetStream(t *testing.T) *Server {
	t.Helper()
	s := &Server{T: t, Options: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true}}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Start runs the server again, on its port and folder.
func (s *Server) Start() {
	s.T.Helper()
	o := s.Options
	ns, err := server.NewServer(&o)
	if err != nil {
		s.T.Fatal(err)
	}
	ns.Start()
	if !ns.ReadyForConnections(time.Minute) {
		s.T.Fatal("the server did not get ready")
	}
	s.NATS, s.Options.LeafNode.Port = ns, o.LeafNode.Port
}

// freePort is a port that stays free while the server does not run.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Stop ends the server.
func (s *Server) Stop() {
	if s.Conn != nil {
		s.Conn.Close()
		s.Conn, s.JS = nil, nil
	}
	s.NATS.Shutdown()
	s.NATS.WaitForShutdown()
}

// JetStream is a connection to the server for the test itself.
func (s *Server) JetStream() jetstream.JetStream {
	s.T.Helper()
	if s.JS == nil {
		var err error
		if s.Conn, err = nats.Connect(s.NATS.ClientURL()); err != nil {
			s.T.Fatal(err)
		}
		if s.JS, err = jetstream.New(s.Conn, jetstream.WithDefaultTimeout(time.Minute)); err != nil {
			s.T.Fatal(err)
		}
	}
	return s.JS
}

// Messages is how many messages clients have sent.
func (s *Server) Messages() int64 {
	s.T.Helper()
	v, err := s.NATS.Varz(nil)
	if err != nil {
		s.T.Fatal(err)
	}
	return v.InMsgs
}

// External says how to connect to the server.
func (s *Server) External() conn.External {
	return conn.External{URLs: []string{s.NATS.ClientURL()}}
}

// Forget is ForgetIDs for the streams of this server.
func (s *Server) Forget(streams ...string) {
	s.T.Helper()
	ForgetIDs(s.T, s.JetStream(), streams...)
}

// ForgetIDs makes streams forget which Nats-Msg-Id they have seen, as time does.
func ForgetIDs(t *testing.T, js jetstream.JetStream, streams ...string) {
	t.Helper()
	for _, name := range streams {
		st, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := st.CachedInfo().Config
		window := c.Duplicates
		for _, c.Duplicates = range []time.Duration{100 * time.Millisecond, window} {
			if _, err := js.UpdateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			Eventually(t, "the window to pass", func() bool { return c.Duplicates == window || aged(t, js, name) })
		}
	}
}

// aged reports whether all of a stream is older than the short window of forgetIDs.
func aged(t *testing.T, js jetstream.JetStream, name string) bool {
	t.Helper()
	st, err := js.Stream(t.Context(), name)
	return err == nil && time.Since(st.CachedInfo().State.LastTime) > time.Second
}

// Leaves is where the hub takes leaf nodes.
func (s *Server) Leaves() string { return fmt.Sprintf("127.0.0.1:%d", s.Options.LeafNode.Port) }

// Everything returns the messages of a stream at the hub, in order.
func (s *Server) Everything(stream string) (all []publish.Message) {
	s.T.Helper()
	st, err := s.JetStream().Stream(s.T.Context(), stream)
	if err != nil {
		s.T.Fatal(err)
	}
	for seq := uint64(1); seq <= st.CachedInfo().State.LastSeq; seq++ {
		m, err := st.GetMsg(s.T.Context(), seq)
		if err != nil {
			s.T.Fatal(err)
		}
		all = append(all, publish.Message{Subject: m.Subject, Sequence: m.Sequence, Header: m.Header, Data: m.Data})
	}
	return all
}

// Holds returns how many messages a stream of the hub has on a subject.
func (s *Server) Holds(stream, subject string) int {
	s.T.Helper()
	st, err := s.JetStream().Stream(s.T.Context(), stream)
	if err != nil {
		return 0 // nobody made it yet
	}
	info, err := st.Info(s.T.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		s.T.Fatal(err)
	}
	n := uint64(0)
	for _, of := range info.State.Subjects {
		n += of
	}
	return int(n)
}

// Forwarded returns how many of them came through an edge.
func (s *Server) Forwarded(stream, subject string) (n int) {
	s.T.Helper()
	for _, m := range s.Everything(stream) {
		if _, marked, _ := job.ParseEdge(m.Header); marked && server.SubjectsCollide(m.Subject, subject) {
			n++
		}
	}
	return n
}

// InOrder fails the test unless each edge's records stand at the hub in the order in which
// they stand here.
func (s *Server) InOrder(stream string) {
	s.T.Helper()
	last := map[string]uint64{}
	for _, m := range s.Everything(stream) {
		e, marked, err := job.ParseEdge(m.Header)
		if err != nil || !marked || e.Stream != stream {
			continue
		}
		if e.Sequence <= last[e.Store] {
			s.T.Errorf("%s of %s comes after %d at the hub", e.Record(), e.Name, last[e.Store])
		}
		last[e.Store] = e.Sequence
	}
}

// Last returns the newest message on a subject of a stream of the hub.
func (s *Server) Last(stream, subject string) publish.Message {
	s.T.Helper()
	st, err := s.JetStream().Stream(s.T.Context(), stream)
	if err != nil {
		s.T.Fatal(err)
	}
	m, err := st.GetLastMsgForSubject(s.T.Context(), subject)
	if err != nil {
		s.T.Fatalf("%s at the hub: %v", subject, err)
	}
	return publish.Message{Subject: m.Subject, Sequence: m.Sequence, Header: m.Header, Data: m.Data}
}

// NewHub runs a server that edges are leaves of, with streams as its receivers make them.
func NewHub(t *testing.T) (*Server, *publish.Store) {
	t.Helper()
	hub := NewServerWith(t, server.Options{
		JetStreamDomain: "hub", LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true},
	})
	return hub, Dial(t, hub.External(), conn.Options{Timeout: LongTimeout})
}
