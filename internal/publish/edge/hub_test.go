package edge_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/api/apitest"
	servers "receiver/internal/cluster"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// manual returns a code block of docs/edge.md.
func manual(t *testing.T, kind string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "edge.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```"+kind+"\n")
	block, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatalf("docs/edge.md has no block of %s", kind)
	}
	return block
}

// permissions returns the permissions of an edge in docs/edge.md, in the syntax of
// nats-server.conf.
func permissions(t *testing.T) string {
	t.Helper()
	may := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(manual(t, "text")), "\n") {
		verb, subject, _ := strings.Cut(line, " ")
		may[verb] = append(may[verb], fmt.Sprintf("%q", strings.TrimSpace(subject)))
	}
	return fmt.Sprintf("{publish: [%s], subscribe: [%s]}", strings.Join(may["publish"], ", "), strings.Join(may["subscribe"], ", "))
}

// asWritten fails the test unless the event on a subject at the hub and its body, which the edge
// moved into the object store, are as api/asyncapi.yaml says.
func asWritten(t *testing.T, hub *publish.Store, subject string) {
	t.Helper()
	seen := map[string]bool{}
	for _, stream := range []string{conn.JobsStream, "OBJ_" + conn.PayloadBucket} {
		last, err := hub.LastSequence(t.Context(), stream)
		if err == nil {
			err = hub.Range(t.Context(), stream, 1, last, func(m publish.Message) error {
				if stream == conn.JobsStream && m.Subject != subject {
					return nil
				}
				for name := range m.Header {
					seen[name] = true
				}
				_, err := apitest.Message{Stream: stream, Subject: m.Subject, Header: m.Header, Data: m.Data}.Check()
				return err
			})
		}
		if err != nil {
			t.Error(err)
		}
	}
	if !seen["receiver-edge-record"] || !seen[job.HeaderChunk] {
		t.Errorf("the event and its body have the headers %v, want those of an edge", seen)
	}
}

// The hub is configured as docs/edge.md says, with TLS and with an edge that has only the
// permissions listed there.
func TestHubOfTheDocumentation(t *testing.T) {
	t.Parallel()
	made, err := servers.Make(servers.Options{Folder: t.TempDir(), Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(made.CAFile)
	conf := strings.NewReplacer("/etc/nats/hub.pem", filepath.Join(folder, "node.pem"), "/etc/nats/hub.key", filepath.Join(folder, "node.key"),
		"0.0.0.0:7422", "127.0.0.1:-1", "/var/lib/nats", t.TempDir()).Replace(manual(t, "conf"))
	conf += fmt.Sprintf(`accounts { R { jetstream: enabled, users: [
		{user: receiver, password: secret}, {user: rim-1, password: secret, permissions: %s}
	] } }`, permissions(t))
	file := filepath.Join(folder, "hub.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.NoLog, o.NoSigs, o.LeafNode.NoAdvertise = "127.0.0.1", server.RANDOM_PORT, true, true, true
	hub := &natstest.Server{T: t, Options: *o}
	hub.Start()
	t.Cleanup(hub.Stop)
	b := natstest.Dial(t, conn.External{URLs: []string{"nats://receiver:secret@" + hub.NATS.Addr().String()}}, conn.Options{})

	r := newEdge(t, "rim-1", "")
	r.stop()
	r.e.Edge.Hub = conn.External{
		URLs: []string{"tls://rim-1:secret@" + strings.Replace(hub.Leaves(), "127.0.0.1", "localhost", 1)}, CAFile: made.CAFile,
	}
	r.start()
	again := natstest.Called(job.Finished, "1", "COMPLETED")
	for _, bus := range []*publish.Store{b, r.Store} {
		if _, err := bus.Publish(t.Context(), again); err != nil {
			t.Fatal(err)
		}
	}
	r.forward()
	r.some(0, 30)
	large := natstest.Called(job.Finished, "large", "COMPLETED")
	large.Data = append(large.Data, strings.Repeat(" ", 2<<20)...)
	natstest.Store(t, r.Store, large)
	r.drained()
	if got, err := b.Job(t.Context(), "demo", "large"); err != nil || len(got) != 1 || len(got[0].Data) != len(large.Data) {
		t.Errorf("the hub has %d events of the large body, %v, want one", len(got), err)
	}
	held := map[string]int{conn.JobsStream: 5*30 + 2, conn.AttemptsStream: 2*30 + 1}
	for stream, want := range held {
		if got := natstest.Count(t, b, stream); got != want {
			t.Errorf("%s at the hub holds %d, want %d", stream, got, want)
		}
	}
	asWritten(t, b, large.Subject())
	r.halt()
	// Without its positions the edge compares all records with the hub's: that is permitted, too.
	files, _ := filepath.Glob(filepath.Join(r.e.Folder, "edge-*.json"))
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	r.forward()
	r.drained()
	for stream, want := range held {
		if got := natstest.Count(t, b, stream); got != want {
			t.Errorf("%s at the hub holds %d after everything was offered again, want %d", stream, got, want)
		}
	}
	if f, err := r.survey(conn.Options{Domain: "hub"}); err != nil || f.Err != nil {
		t.Errorf("Survey = %v, %v", f.Err, err)
	}
	nc, err := nats.Connect("nats://receiver:secret@" + hub.NATS.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if answer, err := nc.Request("$JS.rim-1.API.STREAM.INFO.JOBS", nil, 5*answerTimeout); err != nil || strings.Contains(string(answer.Data), "error") {
		t.Errorf("the hub requests the state of the edge's JOBS: %v", err)
	}
}

// If the hub's stream takes no batches, events are sent one after the other.
func TestHubWithoutBatches(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	st, err := hub.JetStream().Stream(t.Context(), conn.JobsStream)
	if err != nil {
		t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.AllowAtomicPublish = false
	if _, err := hub.JetStream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	r := newEdge(t, "rim-1", hub.Leaves())
	r.some(0, 20)
	r.forward()
	r.drained()
	holdsAll(t, hub, 20)
}

// Nothing is sent to a stream that could store an event twice, and the stream is not changed.
func TestHubWithAnUnsuitableStream(t *testing.T) {
	t.Parallel()
	hub := natstest.NewServerWith(t, server.Options{
		JetStreamDomain: "hub", LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true},
	})
	if _, err := hub.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: conn.JobsStream, Subjects: []string{"jobs.>"}, MaxMsgs: 10,
	}); err != nil {
		t.Fatal(err)
	}
	r := newEdge(t, "rim-1", hub.Leaves())
	r.some(0, 1)
	r.forward()
	natstest.Eventually(t, "the refusal to be logged", func() bool { return strings.Contains(r.logs.String(), "max_msgs is 10") })
	if n := hub.Holds(conn.JobsStream, ">"); n != 0 {
		t.Errorf("the hub holds %d events, want none", n)
	}
	if r.link().Up {
		t.Error("Link says that it is up")
	}
}

// A store that lost its newest records in a power failure continues at an earlier sequence.
func TestStoreThatLostItsEnd(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	r.forward()
	r.some(0, 5)
	r.drained()
	r.stop()
	putBack := backup(t, filepath.Join(r.e.Folder, "jetstream"))
	r.start()
	r.forward()
	r.some(5, 5)
	r.drained()
	r.stop()
	putBack()
	natstest.ForgetStop(t, r.e.Folder)
	r.start()
	r.some(10, 5)
	r.forward()
	// Until the forwarder detects the loss, it takes its position for that of the next records.
	natstest.Eventually(t, "the hub to have what came last", func() bool { return hub.Holds(conn.JobsStream, "jobs.demo.*.finished") == 15 })
	r.drained()
	for subject, want := range map[string]int{"jobs.demo.*.finished": 15, "jobs.demo.*.unrecognised": 15} {
		if got := hub.Holds(conn.JobsStream, subject); got != want {
			t.Errorf("the hub holds %d on %s, want %d", got, subject, want)
		}
	}
	if got := hub.Holds(conn.AttemptsStream, ">"); got != 30 {
		t.Errorf("the hub holds %d attempts, want 30", got)
	}
}

// The position of a restored store says nothing about the records that were stored since.
func TestOldPositionExpiresNothing(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	r := newEdge(t, "rim-1", c.addr())
	r.some(0, 2)
	r.stop()
	putBack := backup(t, filepath.Join(r.e.Folder, "jetstream"))
	r.start()
	r.forward()
	r.some(2, 4)
	r.drained()
	r.stop()
	putBack()
	natstest.ForgetStop(t, r.e.Folder)
	c.set(true)
	r.start()
	r.some(6, 5)
	r.forward()
	for range 2 { // before the store is checked, and after
		if err := r.f.Expire(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if n := natstest.Count(t, r.Store, conn.JobsStream); n != 35 {
			t.Errorf("%d events stay, want the 35 that the hub may not have", n)
		}
		natstest.Eventually(t, "the store to be looked at", func() bool {
			return strings.Contains(r.logs.String(), "the store was restored or lost its newest records")
		})
	}
	c.set(false)
	r.drained()
	if got := hub.Holds(conn.JobsStream, "jobs.demo.*.finished"); got != 11 {
		t.Errorf("the hub holds %d ends, want 11", got)
	}
}

// A record with the sequence and the body of a lost record is a repeat at the hub. It does not
// remove the body of the first one.
func TestStoreThatLostALargeBody(t *testing.T) {
	t.Parallel()
	hub, b := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	r.stop()
	putBack := backup(t, filepath.Join(r.e.Folder, "jetstream"))
	large := natstest.Sized(job.Finished, "large", 2<<20)
	r.start()
	natstest.Store(t, r.Store, large)
	r.forward()
	r.drained()
	r.stop()
	putBack()
	natstest.ForgetStop(t, r.e.Folder)
	r.start()
	natstest.Store(t, r.Store, large)
	r.forward()
	natstest.Eventually(t, "the hub to have the duplicate", func() bool {
		return hub.Holds(conn.AttemptsStream, "attempts.demo.duplicate") == 1
	})
	r.drained()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := b.Job(ctx, "demo", "large")
	if err != nil || len(got) != 1 || len(got[0].Data) != len(large.Data) {
		t.Errorf("the hub has %d events, %v, want one with its body", len(got), err)
	}
}

// A hub that was restored to an earlier state, or lost its newest records in a power failure, has
// streams of the same creation time. It gets its missing records again.
func TestRestoredHubGetsMissingRecords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		then func(t *testing.T, b *publish.Store) // before the edge reaches it again
	}{
		{"at once", func(*testing.T, *publish.Store) {}},
		{"and counted on", func(t *testing.T, b *publish.Store) {
			t.Helper()
			for i := range 50 {
				id := fmt.Sprint("there-", i)
				natstest.Eventually(t, "the hub to take events", func() bool {
					_, err := b.Publish(t.Context(), natstest.Event(job.Submitted, id, "CREATED"))
					return err == nil
				})
				if err := b.Record(t.Context(), natstest.Attempt("mismatch")); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, b := natstest.NewHub(t)
			c := newCable(t, hub.Leaves())
			r := newEdge(t, "rim-1", c.addr())
			r.forward()
			r.some(0, 5)
			r.drained()
			hub.Stop()
			putBack := backup(t, hub.Options.StoreDir)
			hub.Start()
			r.some(5, 5)
			r.drained()
			c.set(true)
			hub.Stop()
			putBack()
			hub.Start()
			tt.then(t, b)
			c.set(false)
			for subject, want := range map[string]int{
				"jobs.demo.*.submitted": 10, "jobs.demo.*.progress": 10, "jobs.demo.*.finished": 10, "jobs.demo.*.unrecognised": 10,
			} {
				natstest.Eventually(t, fmt.Sprint("the hub to have ", want, " on ", subject), func() bool { return hub.Forwarded(conn.JobsStream, subject) == want })
			}
			natstest.Eventually(t, "the hub to have all attempts", func() bool { return hub.Forwarded(conn.AttemptsStream, ">") == 20 })
			r.drained()
			hub.InOrder(conn.JobsStream)
			hub.InOrder(conn.AttemptsStream)
		})
	}
}

func TestSurveyOfARunningEdge(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	r := newEdge(t, "rim-1", c.addr())
	o := conn.Options{Domain: "hub"}
	r.forward()
	r.some(0, 3)
	r.drained()
	f, err := r.survey(o)
	if err != nil || f.Err != nil || len(f.Hub) != 2 || len(f.Streams) != 2 || f.Streams[0].Behind+f.Streams[1].Behind != 0 {
		t.Errorf("Survey = %+v, %v, want both streams of the hub, and nothing behind", f, err)
	}
	c.set(true)
	natstest.Eventually(t, "the cut to be noticed", func() bool { return !r.link().Up })
	r.some(3, 3)
	f, err = r.survey(o)
	if err != nil || f.Err == nil || len(f.Streams) != 2 || f.Streams[0].Behind == 0 {
		t.Errorf("Survey of a cut link = %+v, %v, want why, and how far the hub is behind", f, err)
	}
	r.stop()
	if _, err := r.survey(o); err == nil {
		t.Error("Survey of an edge that does not run = nil")
	}
}
