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

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// some stores n events of each kind, and attempts: the hub finds duplicates of each kind in its own
// way.
func (r *testEdge) some(from, n int) {
	r.t.Helper()
	for i := from; i < from+n; i++ {
		id := fmt.Sprint(r.e.Edge.Name, "-", i)
		natstest.Store(r.t, r.Store, natstest.Event(job.Submitted, id, "CREATED"))
		natstest.Store(r.t, r.Store, natstest.Called(job.Progress, id, "RUNNING"))
		natstest.Store(r.t, r.Store, natstest.Called(job.Finished, id, "COMPLETED"))
		natstest.Store(r.t, r.Store, natstest.Unrecognised(id))
		natstest.StoreAsBefore(r.t, r.Store, natstest.Unrecognised("old "+id))
		for range 2 { // attempts with the same contents are different records
			if err := r.Record(context.Background(), natstest.Attempt("mismatch")); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// holdsAll checks that the hub has n of each kind, each once and in order.
func holdsAll(t *testing.T, s *natstest.Server, n int) {
	t.Helper()
	for subject, want := range map[string]int{
		"jobs.demo.*.submitted": n, "jobs.demo.*.progress": n, "jobs.demo.*.finished": n, "jobs.demo.*.unrecognised": n, "jobs.demo.unrecognised": n,
	} {
		if got := s.Holds(conn.JobsStream, subject); got != want {
			t.Errorf("the hub holds %d on %s, want %d", got, subject, want)
		}
	}
	if got := s.Holds(conn.AttemptsStream, ">"); got != 2*n {
		t.Errorf("the hub holds %d attempts, want %d", got, 2*n)
	}
	s.InOrder(conn.JobsStream)
	s.InOrder(conn.AttemptsStream)
}

func TestCutLinkLosesNothing(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	r := newEdge(t, "rim-1", c.addr())
	r.forward()
	r.some(0, 20)
	r.drained()
	c.set(true)
	r.some(20, 100)
	natstest.Eventually(t, "the cut to be noticed", func() bool { return !r.link().Up })
	if l := r.link(); l.Streams[0].Behind == 0 || l.Streams[0].Oldest.IsZero() || l.Streams[1].Behind == 0 {
		t.Errorf("Link = %+v while it is cut, want how far the hub is behind", l)
	}
	if err := r.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v while the link is cut, want nil: callbacks are stored here", err)
	}
	c.set(false)
	r.drained()
	holdsAll(t, hub, 120)
	for _, want := range []string{"the link to the hub is down", "the link to the hub is up"} {
		if !strings.Contains(r.logs.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

// On a link that falls silent no write fails. Records may still arrive after they were sent again.
func TestSilentLinkLosesNothing(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	w := natstest.NewWall(t, hub.Leaves())
	r := newEdge(t, "rim-1", w.Listener.Addr().String())
	r.forward()
	r.some(0, 10)
	r.drained()
	w.Close()
	r.some(10, 40)
	natstest.Eventually(t, "the silence to be noticed", func() bool { return !r.link().Up })
	w.Open()
	r.drained()
	holdsAll(t, hub, 50)
}

func TestRestartOfTheEdgeLosesNothing(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	r := newEdge(t, "rim-1", c.addr())
	r.forward()
	r.some(0, 10)
	r.drained()
	c.set(true)
	r.some(10, 10)
	r.stop()
	r.start()
	r.some(20, 10)
	r.forward()
	c.set(false)
	r.drained()
	holdsAll(t, hub, 30)
}

func TestRestartOfTheHubLosesNothing(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	r.forward()
	r.some(0, 10)
	r.drained()
	hub.Stop()
	r.some(10, 10)
	hub.Start()
	r.drained()
	holdsAll(t, hub, 20)
}

// The edge may not know how far the hub is: its process was killed before it wrote its position,
// the file was lost, or the store was restored.
func TestOldPositionForwardsNothingTwice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		forget func(t *testing.T, r *testEdge, files []string)
	}{
		{"the place is that of a moment ago", func(*testing.T, *testEdge, []string) {}},
		{"the place is lost", func(t *testing.T, _ *testEdge, files []string) {
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"the place is no JSON", func(t *testing.T, _ *testEdge, files []string) {
			for _, f := range files {
				if err := os.WriteFile(f, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, _ := natstest.NewHub(t)
			r := newEdge(t, "rim-1", hub.Leaves())
			r.forward()
			r.some(0, 5)
			r.drained()
			r.halt()
			files, err := filepath.Glob(filepath.Join(r.e.Folder, "edge-*.json"))
			if err != nil || len(files) != 2 {
				t.Fatalf("the places are in %v, %v", files, err)
			}
			was := map[string][]byte{}
			for _, f := range files {
				if was[f], err = os.ReadFile(f); err != nil {
					t.Fatal(err)
				}
			}
			r.forward()
			r.some(5, 30)
			r.drained()
			r.stop()
			// The hub's streams forget the ids of their messages after two minutes, and at a
			// restart.
			for f, text := range was {
				if err := os.WriteFile(f, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tt.forget(t, r, files)
			hub.Forget(conn.JobsStream, conn.AttemptsStream)
			r.start()
			r.some(35, 5)
			r.forward()
			r.drained()
			holdsAll(t, hub, 40)
		})
	}
}

// A new folder under the same name counts from 1 again. Its records differ from those of the old
// folder.
func TestNewFolderUnderTheSameName(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	r.forward()
	r.some(0, 10)
	r.drained()
	r.stop()
	r.e.Folder = t.TempDir()
	r.start()
	r.forward()
	r.some(10, 10)
	r.drained()
	holdsAll(t, hub, 20)
}

func TestHubThatLostItsStreams(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	r.forward()
	r.some(0, 10)
	r.drained()
	for _, name := range []string{conn.JobsStream, conn.AttemptsStream} {
		if err := hub.JetStream().DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	r.some(10, 10)
	natstest.Eventually(t, "everything to be at the hub again", func() bool {
		return hub.Holds(conn.JobsStream, ">") == 100 && hub.Holds(conn.AttemptsStream, ">") == 40
	})
	r.drained()
	holdsAll(t, hub, 20)
}

// An edge starts before its hub does, and creates the streams that the hub does not have.
func TestEdgeStartsBeforeItsHub(t *testing.T) {
	t.Parallel()
	hub := natstest.NewServerWith(t, server.Options{
		JetStreamDomain: "hub", LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true},
	})
	c := newCable(t, hub.Leaves())
	c.set(true)
	r := newEdge(t, "rim-1", c.addr())
	r.forward()
	r.some(0, 10)
	natstest.Eventually(t, "the missing link to be logged", func() bool { return strings.Contains(r.logs.String(), "the link to the hub is down") })
	c.set(false)
	r.drained()
	holdsAll(t, hub, 10)
}

func TestEventsExpireOnlyAfterForwarding(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	r := newEdge(t, "rim-1", c.addr())
	r.forward()
	r.some(0, 5)
	r.drained()
	c.set(true)
	r.some(5, 5)
	later := time.Now().Add(time.Hour)
	if err := r.f.Expire(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if n := natstest.Count(t, r.Store, conn.JobsStream); n != 25 {
		t.Errorf("%d events stay, want the 25 that the hub does not have", n)
	}
	c.set(false)
	r.drained()
	if err := r.f.Expire(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := natstest.Count(t, r.Store, conn.JobsStream); n != 25 {
		t.Errorf("%d events stay, want 20: none is an hour old", n)
	}
	if err := r.f.Expire(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if n := natstest.Count(t, r.Store, conn.JobsStream); n != 0 {
		t.Errorf("%d events stay, want none", n)
	}
	holdsAll(t, hub, 10)
	r.stop()
	r.start()
	r.forward()
	r.some(10, 1)
	r.drained()
	holdsAll(t, hub, 11)
}

// A record that the edge dropped before the hub had it is counted once, however often the hub
// refuses the records behind it.
func TestDroppedRecordIsCountedOnce(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	r := newEdge(t, "rim-1", c.addr())
	r.timeout = 200 * time.Millisecond
	r.forward()
	r.some(0, 1)
	r.drained()
	c.set(true)
	takes := func(subject string) {
		t.Helper()
		st, err := hub.JetStream().Stream(t.Context(), conn.AttemptsStream)
		if err != nil {
			t.Fatal(err)
		}
		c := st.CachedInfo().Config
		c.Subjects = []string{subject}
		if _, err := hub.JetStream().UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	takes("something.else")
	r.some(1, 3)
	natstest.Eventually(t, "the attempts to be stored", func() bool { return natstest.Count(t, r.Store, conn.AttemptsStream) == 8 })
	if err := natstest.Drop(t.Context(), r.Store, conn.AttemptsStream, 6); err != nil {
		t.Fatal(err)
	}
	offered, err := hub.JetStream().Conn().SubscribeSync("attempts.>")
	if err != nil {
		t.Fatal(err)
	}
	c.set(false)
	for range 2 { // the second is the repeat
		if _, err := offered.NextMsg(time.Minute); err != nil {
			t.Fatalf("waiting for the hub to be offered what it does not take: %v", err)
		}
	}
	if got := r.link().Streams[1].Missed; got != 0 {
		t.Errorf("Link tells of %d missed records while the hub takes none, want 0", got)
	}
	takes("attempts.>")
	r.drained()
	if got := r.link().Streams[1].Missed; got != 3 {
		t.Errorf("Link tells of %d missed records, want 3", got)
	}
}

func TestLargeBodyIsForwarded(t *testing.T) {
	t.Parallel()
	hub, b := natstest.NewHub(t)
	r := newEdge(t, "rim-1", hub.Leaves())
	want := map[string]int{"here": 9 << 20, "there": 3 << 20, "nowhere": 100}
	for id, size := range want {
		e := natstest.Called(job.Finished, id, "COMPLETED")
		e.Data = append(e.Data, strings.Repeat(" ", size)...)
		want[id] = len(e.Data)
		natstest.Store(t, r.Store, e)
	}
	r.forward()
	r.drained()
	for id, size := range want {
		got, err := b.Job(t.Context(), "demo", id)
		if err != nil || len(got) != 1 || len(got[0].Data) != size {
			t.Errorf("the hub has %d events of job %s, %v, want one with a body of %d bytes", len(got), id, err, size)
		}
	}
}

// Two edges with the same name take the link from each other, and log that. Their records stay
// separate.
func TestTwoEdgesOfOneName(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	a, b := newEdge(t, "rim-1", hub.Leaves()), newEdge(t, "rim-1", hub.Leaves())
	a.some(0, 2) // few, because the edges cut off each other all the time
	b.some(2, 2)
	a.forward()
	b.forward()
	natstest.Eventually(t, "the hub to have everything of both", func() bool {
		return hub.Holds(conn.JobsStream, ">") == 20 && hub.Holds(conn.AttemptsStream, ">") == 8
	})
	holdsAll(t, hub, 4)
	natstest.Eventually(t, "the name to be logged", func() bool {
		return strings.Contains(a.logs.String()+b.logs.String(), "Duplicate Remote LeafNode Connection")
	})
}
