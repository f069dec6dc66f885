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
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// some stores n events and attempts of every way that they are told apart at the hub, and
// returns how many that are by stream.
func (r *rim) some(from, n int) {
	r.t.Helper()
	for i := from; i < from+n; i++ {
		id := fmt.Sprint(r.e.Edge.Name, "-", i)
		store(r.t, r.Bus, event(job.Submitted, id, "CREATED"))
		store(r.t, r.Bus, called(job.Progress, id, "RUNNING"))
		store(r.t, r.Bus, called(job.Finished, id, "COMPLETED"))
		store(r.t, r.Bus, unrecognised(id))
		storeAsBefore(r.t, r.Bus, unrecognised("old "+id))
		for range 2 { // attempts are not told apart by what they say
			if err := r.Record(context.Background(), attempt("mismatch")); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// holdsAll fails the test unless the hub has n of each once, in order.
func (s *somebodys) holdsAll(n int) {
	s.t.Helper()
	for subject, want := range map[string]int{
		"jobs.demo.*.submitted": n, "jobs.demo.*.progress": n, "jobs.demo.*.finished": n, "jobs.demo.*.unrecognised": n, "jobs.demo.unrecognised": n,
	} {
		if got := s.holds(publish.JobsStream, subject); got != want {
			s.t.Errorf("the hub holds %d on %s, want %d", got, subject, want)
		}
	}
	if got := s.holds(publish.AttemptsStream, ">"); got != 2*n {
		s.t.Errorf("the hub holds %d attempts, want %d", got, 2*n)
	}
	s.inOrder(publish.JobsStream)
	s.inOrder(publish.AttemptsStream)
}

func TestACutLineLosesNothing(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	r := newRim(t, "rim-1", c.addr())
	r.forward()
	r.some(0, 20)
	r.drained()
	c.set(true)
	r.some(20, 100)
	eventually(t, "the cut to be noticed", func() bool { return !r.line().Up })
	if l := r.line(); l.Streams[0].Behind == 0 || l.Streams[0].Oldest.IsZero() || l.Streams[1].Behind == 0 {
		t.Errorf("Line = %+v while it is cut, want how far the hub is behind", l)
	}
	if err := r.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v while the line is cut, want nil: callbacks are stored here", err)
	}
	c.set(false)
	r.drained()
	hub.holdsAll(120)
	for _, want := range []string{"nothing reaches the hub", "the line to the hub is up"} {
		if !strings.Contains(r.logs.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

// The line is cut again and again at whatever is under way.
func TestALineThatComesAndGoes(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	r := newRim(t, "rim-1", c.addr())
	r.some(0, 150)
	r.forward()
	for range 3 {
		before := r.line().Streams[0].Sent
		eventually(t, "something to be forwarded", func() bool {
			l := r.line()
			return l.Streams[0].Sent > before || l.Streams[0].Behind == 0
		})
		c.set(true)
		eventually(t, "the cut to be noticed", func() bool {
			l := r.line()
			return !l.Up || l.Streams[0].Behind == 0
		})
		c.set(false)
	}
	r.drained()
	hub.holdsAll(150)
}

// A line that falls silent fails nothing: what was sent may still arrive, after it was sent
// again.
func TestASilentLine(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	w := newWall(t, hub.leaves())
	r := newRim(t, "rim-1", w.ln.Addr().String())
	r.forward()
	r.some(0, 10)
	r.drained()
	w.close()
	r.some(10, 40)
	eventually(t, "the silence to be noticed", func() bool { return !r.line().Up })
	w.open()
	r.drained()
	hub.holdsAll(50)
}

func TestAnEdgeThatIsRestarted(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	r := newRim(t, "rim-1", c.addr())
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
	hub.holdsAll(30)
}

func TestAHubThatIsRestarted(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	r.forward()
	r.some(0, 10)
	r.drained()
	hub.stop()
	r.some(10, 10)
	hub.start()
	r.drained()
	hub.holdsAll(20)
}

// What the hub has, this side may not know that it has: the process was killed before it
// wrote that down, or the file was lost, or the store was put back.
func TestNothingIsDoubledByForgetting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		forget func(t *testing.T, r *rim, files []string)
	}{
		{"the place is that of a moment ago", func(*testing.T, *rim, []string) {}},
		{"the place is lost", func(t *testing.T, _ *rim, files []string) {
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"the place is no JSON", func(t *testing.T, _ *rim, files []string) {
			for _, f := range files {
				if err := os.WriteFile(f, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, _ := newHub(t)
			r := newRim(t, "rim-1", hub.leaves())
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
			// Two minutes later the hub's streams have forgotten what they have seen; the
			// restart makes them forget it now.
			for f, text := range was {
				if err := os.WriteFile(f, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tt.forget(t, r, files)
			hub.forget(publish.JobsStream, publish.AttemptsStream)
			r.start()
			r.some(35, 5)
			r.forward()
			r.drained()
			hub.holdsAll(40)
		})
	}
}

func (s *somebodys) forget(streams ...string) {
	s.t.Helper()
	forgetIDs(s.t, s.jetstream(), streams...)
}

// forgetIDs makes streams forget which Nats-Msg-Id they have seen, as time does.
func forgetIDs(t *testing.T, js jetstream.JetStream, streams ...string) {
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
			eventually(t, "the window to pass", func() bool { return c.Duplicates == window || aged(t, js, name) })
		}
	}
}

// aged reports whether all of a stream is older than the short window of forgetIDs.
func aged(t *testing.T, js jetstream.JetStream, name string) bool {
	t.Helper()
	st, err := js.Stream(t.Context(), name)
	return err == nil && time.Since(st.CachedInfo().State.LastTime) > time.Second
}

// A folder that begins anew under the same name counts from 1 again, and its records are
// not those of the old one.
func TestANewDiskUnderTheOldName(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	r.forward()
	r.some(0, 10)
	r.drained()
	r.stop()
	r.e.Folder = t.TempDir()
	r.start()
	r.forward()
	r.some(10, 10)
	r.drained()
	hub.holdsAll(20)
}

func TestAHubThatLostItsStreams(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	r.forward()
	r.some(0, 10)
	r.drained()
	for _, name := range []string{publish.JobsStream, publish.AttemptsStream} {
		if err := hub.jetstream().DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	r.some(10, 10)
	eventually(t, "everything to be at the hub again", func() bool {
		return hub.holds(publish.JobsStream, ">") == 100 && hub.holds(publish.AttemptsStream, ">") == 40
	})
	r.drained()
	hub.holdsAll(20)
}

// An edge begins before its hub does, and makes the streams that the hub does not have.
func TestAHubThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	hub := somebodysServerWith(t, server.Options{
		JetStreamDomain: "hub", LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true},
	})
	c := newCable(t, hub.leaves())
	c.set(true)
	r := newRim(t, "rim-1", c.addr())
	r.forward()
	r.some(0, 10)
	eventually(t, "the missing line to be told of", func() bool { return strings.Contains(r.logs.String(), "nothing reaches the hub") })
	c.set(false)
	r.drained()
	hub.holdsAll(10)
}

func TestEventsStayUntilTheHubHasThem(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	r := newRim(t, "rim-1", c.addr())
	r.forward()
	r.some(0, 5)
	r.drained()
	c.set(true)
	r.some(5, 5)
	later := time.Now().Add(time.Hour)
	if err := r.f.Expire(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if n := count(t, r.Bus, publish.JobsStream); n != 25 {
		t.Errorf("%d events stay, want the 25 that the hub does not have", n)
	}
	c.set(false)
	r.drained()
	if err := r.f.Expire(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, r.Bus, publish.JobsStream); n != 25 {
		t.Errorf("%d events stay, want 20: none is an hour old", n)
	}
	if err := r.f.Expire(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if n := count(t, r.Bus, publish.JobsStream); n != 0 {
		t.Errorf("%d events stay, want none", n)
	}
	hub.holdsAll(10)
	r.stop()
	r.start()
	r.forward()
	r.some(10, 1)
	r.drained()
	hub.holdsAll(11)
}

// What is dropped here before the hub has it is counted once, however often the hub refuses
// what comes after it.
func TestWhatIsMissedIsCountedOnce(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	r := newRim(t, "rim-1", c.addr())
	r.timeout = 200 * time.Millisecond
	r.forward()
	r.some(0, 1)
	r.drained()
	c.set(true)
	takes := func(subject string) {
		t.Helper()
		st, err := hub.jetstream().Stream(t.Context(), publish.AttemptsStream)
		if err != nil {
			t.Fatal(err)
		}
		c := st.CachedInfo().Config
		c.Subjects = []string{subject}
		if _, err := hub.jetstream().UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	takes("something.else")
	r.some(1, 3)
	eventually(t, "the attempts to be stored", func() bool { return count(t, r.Bus, publish.AttemptsStream) == 8 })
	if err := publish.Drop(t.Context(), r.Bus, publish.AttemptsStream, 6); err != nil {
		t.Fatal(err)
	}
	offered, err := hub.jetstream().Conn().SubscribeSync("attempts.>")
	if err != nil {
		t.Fatal(err)
	}
	c.set(false)
	for range 2 { // and again
		if _, err := offered.NextMsg(time.Minute); err != nil {
			t.Fatalf("waiting for the hub to be offered what it does not take: %v", err)
		}
	}
	if got := r.line().Streams[1].Missed; got != 0 {
		t.Errorf("Line tells of %d missed records while the hub takes none, want 0", got)
	}
	takes("attempts.>")
	r.drained()
	if got := r.line().Streams[1].Missed; got != 3 {
		t.Errorf("Line tells of %d missed records, want 3", got)
	}
}

func TestALargeBodyComesToTheHub(t *testing.T) {
	t.Parallel()
	hub, b := newHub(t)
	r := newRim(t, "rim-1", hub.leaves())
	want := map[string]int{"here": 9 << 20, "there": 3 << 20, "nowhere": 100}
	for id, size := range want {
		e := called(job.Finished, id, "COMPLETED")
		e.Data = append(e.Data, strings.Repeat(" ", size)...)
		want[id] = len(e.Data)
		store(t, r.Bus, e)
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

// Two edges that were given one name take the line from each other, and tell of it; their
// records stay those of two.
func TestTwoEdgesOfOneName(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	a, b := newRim(t, "rim-1", hub.leaves()), newRim(t, "rim-1", hub.leaves())
	a.some(0, 2) // little: they push each other out all the time
	b.some(2, 2)
	a.forward()
	b.forward()
	eventually(t, "the hub to have everything of both", func() bool {
		return hub.holds(publish.JobsStream, ">") == 20 && hub.holds(publish.AttemptsStream, ">") == 8
	})
	hub.holdsAll(4)
	eventually(t, "the name to be told of", func() bool {
		return strings.Contains(a.logs.String()+b.logs.String(), "Duplicate Remote LeafNode Connection")
	})
}
