package publish_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// storeAsBefore stores an unrecognised body on the one subject that earlier versions had for
// all of a source.
func storeAsBefore(t *testing.T, b *publish.Bus, e job.Event) {
	t.Helper()
	msg := &nats.Msg{Subject: "jobs.demo.unrecognised", Header: nats.Header(e.Header().Map()), Data: e.Data}
	msg.Header.Set(nats.MsgIdHdr, e.Source+"."+e.ID())
	if _, err := publish.JetStream(b).PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

// replayed are unrecognised bodies in the order in which they come, again and again, and the
// sequence that each has for good.
func replayed() (events []job.Event, want []uint64) {
	elsewhere, otherKey := unrecognised("x"), unrecognised("x")
	elsewhere.Source = "eu10"
	otherKey.Receipt.Key, otherKey.Receipt.Fingerprint, otherKey.Receipt.Signature = "second", "sha256:2", "sha256=def"
	return []job.Event{unrecognised("x"), unrecognised("y"), unrecognised("x"), elsewhere, otherKey, unrecognised("")}, []uint64{1, 2, 1, 3, 1, 4}
}

// An unrecognised body is one event at its source, however long after it is sent again, by
// whatever key, and whatever was restarted meanwhile.
func TestAnUnrecognisedBodyIsOneEventForGood(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, b *publish.Bus, again bool) {
		t.Helper()
		events, want := replayed()
		known := map[uint64]bool{}
		for i, e := range events {
			got := store(t, b, e)
			if got.Sequence != want[i] || got.Existed != (again || known[want[i]]) || got.ID() != e.ID() || got.Subject() != e.Subject() {
				t.Errorf("body %d, again=%v: existed=%v seq=%d %s, want sequence %d of %s", i, again, got.Existed, got.Sequence, got.Subject(), want[i], e.Subject())
			}
			known[want[i]] = true
		}
		if n := count(t, b, publish.JobsStream); n != 4 {
			t.Errorf("again=%v: JOBS holds %d events, want 4", again, n)
		}
	}
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		for _, again := range []bool{false, true} {
			s, err := publish.Start(embedded(folder))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b := open(t, s)
			if again { // a server that starts knows the ids of the last two minutes
				forgetIDs(t, publish.JetStream(b), publish.JobsStream)
			}
			check(t, b, again)
			if err := b.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.Stop()
		}
	})
	t.Run("external", func(t *testing.T) {
		t.Parallel()
		s := somebodysServer(t, 0)
		check(t, dial(t, s.external(), publish.Options{}), false)
		s.forget(publish.JobsStream)
		check(t, dial(t, s.external(), publish.Options{}), true) // another receiver
		s.stop()
		s.start()
		s.forget(publish.JobsStream)
		check(t, dial(t, s.external(), publish.Options{}), true)
	})
	t.Run("at an edge's hub", func(t *testing.T) {
		t.Parallel()
		hub, b := newHub(t)
		for round, name := range []string{"rim-1", "rim-2"} {
			r := newRim(t, name, hub.leaves())
			check(t, r.Bus, false)
			r.forward()
			r.drained()
			if n := hub.holds(publish.JobsStream, "jobs.*.*.unrecognised"); n != 4 {
				t.Errorf("after %s the hub holds %d events, want 4", name, n)
			}
			if n := hub.holds(publish.AttemptsStream, "attempts.*.duplicate"); n != round*4 {
				t.Errorf("after %s the hub holds %d duplicates, want %d", name, n, round*4)
			}
			hub.forget(publish.JobsStream)
		}
		check(t, b, true) // a receiver at the hub
	})
}

// What earlier versions stored of unrecognised bodies stays readable, and makes one event more.
func TestAnUnrecognisedBodyOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	b := open(t, start(t, t.TempDir()))
	storeAsBefore(t, b, unrecognised("x"))
	for range 3 {
		if got := store(t, b, unrecognised("x")); got.Sequence != 2 {
			t.Errorf("sent again it has sequence %d, want 2", got.Sequence)
		}
	}
	var ids []string
	for m, err := range b.Messages(t.Context(), publish.Watch{Stream: publish.JobsStream}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := job.ParseEvent(m.Subject, m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID())
	}
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("their ids are %s, want one", ids)
	}
}

// A job that is called as the digest of an unrecognised body has nothing to do with it.
func TestAJobOfADigestsName(t *testing.T) {
	t.Parallel()
	b := open(t, start(t, t.TempDir()))
	store(t, b, unrecognised("x"))
	digest := job.BodySHA256([]byte("x"))
	if got, err := b.Job(t.Context(), "demo", digest); err != nil || len(got) != 0 {
		t.Errorf("Job = %v, %v, want nothing", got, err)
	}
	store(t, b, event(job.Finished, digest, "COMPLETED"))
	if got, err := b.Job(t.Context(), "demo", digest); err != nil || len(got) != 1 || got[0].Kind != job.Finished {
		t.Errorf("Job = %v, %v, want its end alone", got, err)
	}
}
