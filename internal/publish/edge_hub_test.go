package publish_test

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

	servers "receiver/internal/cluster"
	"receiver/internal/job"
	"receiver/internal/publish"
)

// manual returns a block of docs/edge.md.
func manual(t *testing.T, kind string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "edge.md"))
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

// permissions are those of the manual for an edge, in the language of nats-server.conf.
func permissions(t *testing.T) string {
	t.Helper()
	may := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(manual(t, "text")), "\n") {
		verb, subject, _ := strings.Cut(line, " ")
		may[verb] = append(may[verb], fmt.Sprintf("%q", strings.TrimSpace(subject)))
	}
	return fmt.Sprintf("{publish: [%s], subscribe: [%s]}", strings.Join(may["publish"], ", "), strings.Join(may["subscribe"], ", "))
}

// TestTheHubOfTheManual runs a hub as docs/edge.md tells, with TLS and an edge that may do
// no more than it says there.
func TestTheHubOfTheManual(t *testing.T) {
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
	hub := &somebodys{t: t, options: *o}
	hub.start()
	t.Cleanup(hub.stop)
	b := dial(t, publish.External{URLs: []string{"nats://receiver:secret@" + hub.ns.Addr().String()}}, publish.Options{})

	r := newRim(t, "rim-1", "")
	r.stop()
	r.e.Edge.Hub = publish.External{
		URLs: []string{"tls://rim-1:secret@" + strings.Replace(hub.leaves(), "127.0.0.1", "localhost", 1)}, CAFile: made.CAFile,
	}
	r.start()
	again := called(job.Finished, "1", "COMPLETED")
	for _, bus := range []*publish.Bus{b, r.Bus} {
		if _, err := bus.Publish(t.Context(), again); err != nil {
			t.Fatal(err)
		}
	}
	r.forward()
	r.some(0, 30)
	large := called(job.Finished, "large", "COMPLETED")
	large.Data = append(large.Data, strings.Repeat(" ", 2<<20)...)
	store(t, r.Bus, large)
	r.drained()
	if got, err := b.Job(t.Context(), "demo", "large"); err != nil || len(got) != 1 || len(got[0].Data) != len(large.Data) {
		t.Errorf("the hub has %d events of the large body, %v, want one", len(got), err)
	}
	held := map[string]int{publish.JobsStream: 5*30 + 2, publish.AttemptsStream: 2*30 + 1}
	for stream, want := range held {
		if got := count(t, b, stream); got != want {
			t.Errorf("%s at the hub holds %d, want %d", stream, got, want)
		}
	}
	r.halt()
	// Found out again from the beginning: what is looked up at the hub is permitted, too.
	files, _ := filepath.Glob(filepath.Join(r.e.Folder, "edge-*.json"))
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	r.forward()
	r.drained()
	for stream, want := range held {
		if got := count(t, b, stream); got != want {
			t.Errorf("%s at the hub holds %d after everything was offered again, want %d", stream, got, want)
		}
	}
	if f, err := publish.SurveyEdge(t.Context(), r.e.Folder, publish.Options{Domain: "hub"}); err != nil || f.Err != nil {
		t.Errorf("SurveyEdge = %v, %v", f.Err, err)
	}
	nc, err := nats.Connect("nats://receiver:secret@" + hub.ns.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if answer, err := nc.Request("$JS.rim-1.API.STREAM.INFO.JOBS", nil, 5*answerPatience); err != nil || strings.Contains(string(answer.Data), "error") {
		t.Errorf("the hub asks after the edge's JOBS: %v", err)
	}
}

// A hub whose stream takes no batches is sent one event after the other.
func TestAHubWithoutBatches(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	st, err := hub.jetstream().Stream(t.Context(), publish.JobsStream)
	if err != nil {
		t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.AllowAtomicPublish = false
	if _, err := hub.jetstream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	r := newRim(t, "rim-1", hub.leaves())
	r.some(0, 20)
	r.forward()
	r.drained()
	hub.holdsAll(20)
}

// Nothing goes to a stream on which an event could be there twice; and it is left as it is.
func TestAHubWithAnotherStream(t *testing.T) {
	t.Parallel()
	hub := somebodysServerWith(t, server.Options{
		JetStreamDomain: "hub", LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true},
	})
	if _, err := hub.jetstream().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: publish.JobsStream, Subjects: []string{"jobs.>"}, MaxMsgs: 10,
	}); err != nil {
		t.Fatal(err)
	}
	r := newRim(t, "rim-1", hub.leaves())
	r.some(0, 1)
	r.forward()
	eventually(t, "the refusal to be told of", func() bool { return strings.Contains(r.logs.String(), "max_msgs is 10") })
	if n := hub.holds(publish.JobsStream, ">"); n != 0 {
		t.Errorf("the hub holds %d events, want none", n)
	}
	if r.line().Up {
		t.Error("Line says that it is up")
	}
}

// A store that lost its end with the power counts on from an earlier sequence.
func TestAStoreThatLostItsEnd(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
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
	forget(t, r.e.Folder)
	r.start()
	r.some(10, 5)
	r.forward()
	// Until the forwarder has found out, it takes its place for that of the records to come.
	eventually(t, "the hub to have what came last", func() bool { return hub.holds(publish.JobsStream, "jobs.demo.*.finished") == 15 })
	r.drained()
	for subject, want := range map[string]int{"jobs.demo.*.finished": 15, "jobs.demo.*.unrecognised": 15} {
		if got := hub.holds(publish.JobsStream, subject); got != want {
			t.Errorf("the hub holds %d on %s, want %d", got, subject, want)
		}
	}
	if got := hub.holds(publish.AttemptsStream, ">"); got != 30 {
		t.Errorf("the hub holds %d attempts, want 30", got)
	}
}

// The place of a store that was put back says nothing of what came into it since.
func TestNothingIsRemovedByAnOldPlace(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	r := newRim(t, "rim-1", c.addr())
	r.some(0, 2)
	r.stop()
	putBack := backup(t, filepath.Join(r.e.Folder, "jetstream"))
	r.start()
	r.forward()
	r.some(2, 4)
	r.drained()
	r.stop()
	putBack()
	forget(t, r.e.Folder)
	c.set(true)
	r.start()
	r.some(6, 5)
	r.forward()
	for range 2 { // before the store is looked at, and after
		if err := r.f.Expire(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if n := count(t, r.Bus, publish.JobsStream); n != 35 {
			t.Errorf("%d events stay, want the 35 that the hub may not have", n)
		}
		eventually(t, "the store to be looked at", func() bool {
			return strings.Contains(r.logs.String(), "the store is not as the hub knows it")
		})
	}
	c.set(false)
	r.drained()
	if got := hub.holds(publish.JobsStream, "jobs.demo.*.finished"); got != 11 {
		t.Errorf("the hub holds %d ends, want 11", got)
	}
}

// A record that has the sequence and the body of one that the store lost repeats it at the
// hub, and does not take its body away.
func TestAStoreThatLostALargeBody(t *testing.T) {
	t.Parallel()
	hub, b := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	r.stop()
	putBack := backup(t, filepath.Join(r.e.Folder, "jetstream"))
	large := sized(job.Finished, "large", 2<<20)
	r.start()
	store(t, r.Bus, large)
	r.forward()
	r.drained()
	r.stop()
	putBack()
	forget(t, r.e.Folder)
	r.start()
	store(t, r.Bus, large)
	r.forward()
	eventually(t, "the hub to have the duplicate", func() bool {
		return hub.holds(publish.AttemptsStream, "attempts.demo.duplicate") == 1
	})
	r.drained()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := b.Job(ctx, "demo", "large")
	if err != nil || len(got) != 1 || len(got[0].Data) != len(large.Data) {
		t.Errorf("the hub has %d events, %v, want one with its body", len(got), err)
	}
}

// A hub that was put back to an earlier state, or lost its end with the power, has streams
// that were made when they were made, and gets again what it has no more.
func TestAHubThatWasPutBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		then func(t *testing.T, b *publish.Bus) // before the edge reaches it again
	}{
		{"at once", func(*testing.T, *publish.Bus) {}},
		{"and counted on", func(t *testing.T, b *publish.Bus) {
			t.Helper()
			for i := range 50 {
				id := fmt.Sprint("there-", i)
				eventually(t, "the hub to take events", func() bool {
					_, err := b.Publish(t.Context(), event(job.Submitted, id, "CREATED"))
					return err == nil
				})
				if err := b.Record(t.Context(), attempt("mismatch")); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, b := newHub(t)
			c := newCable(t, hub.leaves())
			r := newRim(t, "rim-1", c.addr())
			r.forward()
			r.some(0, 5)
			r.drained()
			hub.stop()
			putBack := backup(t, hub.options.StoreDir)
			hub.start()
			r.some(5, 5)
			r.drained()
			c.set(true)
			hub.stop()
			putBack()
			hub.start()
			tt.then(t, b)
			c.set(false)
			for subject, want := range map[string]int{
				"jobs.demo.*.submitted": 10, "jobs.demo.*.progress": 10, "jobs.demo.*.finished": 10, "jobs.demo.*.unrecognised": 10,
			} {
				eventually(t, fmt.Sprint("the hub to have ", want, " on ", subject), func() bool { return hub.forwarded(publish.JobsStream, subject) == want })
			}
			eventually(t, "the hub to have all attempts", func() bool { return hub.forwarded(publish.AttemptsStream, ">") == 20 })
			r.drained()
			hub.inOrder(publish.JobsStream)
			hub.inOrder(publish.AttemptsStream)
		})
	}
}

func TestAnEdgeIsSurveyedFromOutside(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	r := newRim(t, "rim-1", c.addr())
	o := publish.Options{Domain: "hub"}
	r.forward()
	r.some(0, 3)
	r.drained()
	f, err := publish.SurveyEdge(t.Context(), r.e.Folder, o)
	if err != nil || f.Err != nil || len(f.Hub) != 2 || len(f.Streams) != 2 || f.Streams[0].Behind+f.Streams[1].Behind != 0 {
		t.Errorf("SurveyEdge = %+v, %v, want both streams of the hub, and nothing behind", f, err)
	}
	c.set(true)
	eventually(t, "the cut to be noticed", func() bool { return !r.line().Up })
	r.some(3, 3)
	f, err = publish.SurveyEdge(t.Context(), r.e.Folder, o)
	if err != nil || f.Err == nil || len(f.Streams) != 2 || f.Streams[0].Behind == 0 {
		t.Errorf("SurveyEdge of a cut line = %+v, %v, want why, and how far the hub is behind", f, err)
	}
	r.stop()
	if _, err := publish.SurveyEdge(t.Context(), r.e.Folder, o); err == nil {
		t.Error("SurveyEdge of an edge that does not run = nil")
	}
}
