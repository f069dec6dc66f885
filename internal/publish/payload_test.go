package publish_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestBodyTooLargeForAMessageIsKeptWhole(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 16<<10)
	b := natstest.Dial(t, s.External(), conn.Options{})
	bodies := map[string][]byte{}
	for _, tt := range []struct {
		name  string
		event job.Event
	}{
		{"finished", natstest.Large(natstest.Event(job.Finished, "1", "COMPLETED"), 300<<10)},
		{"progress", natstest.Large(natstest.Event(job.Progress, "1", "RUNNING"), 300<<10)},
		{"just over", natstest.Large(natstest.Event(job.Finished, "2", "COMPLETED"), 16<<10)},
		{"just under", natstest.Large(natstest.Event(job.Finished, "3", "COMPLETED"), 12<<10)},
	} {
		want := bytes.Clone(tt.event.Data)
		bodies[tt.event.Subject()] = want
		stored := natstest.Store(t, b, tt.event)
		if stored.Existed || !bytes.Equal(stored.Data, want) {
			t.Errorf("%s: Publish: existed=%v, %d bytes, want %d new ones", tt.name, stored.Existed, len(stored.Data), len(want))
		}
		events, err := b.Job(t.Context(), "demo", tt.event.Job.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := events[len(events)-1]; !bytes.Equal(got.Data, want) || got.Sequence != stored.Sequence {
			t.Errorf("%s: Job gives %d bytes in sequence %d, want %d in %d", tt.name, len(got.Data), got.Sequence, len(want), stored.Sequence)
		}
	}
	if got := objects(t, s); got != 3 {
		t.Errorf("%d bodies are in the object store, want the 3 that are over", got)
	}
	whole := map[string]bool{}
	for m, err := range b.Messages(t.Context(), publish.Watch{}) {
		if err != nil {
			t.Fatal(err)
		}
		whole[m.Subject] = bytes.Equal(m.Data, bodies[m.Subject])
		if _, err := job.ParseEvent(m.Subject, m.Header, m.Data); err != nil {
			t.Errorf("Messages gives %s, which is no event: %v", m.Subject, err)
		}
	}
	for subject := range bodies {
		if !whole[subject] {
			t.Errorf("Messages does not give the body on %s as it was", subject)
		}
	}
}

// Each event refers to an object of its own. The object of a duplicate is removed again.
func TestDuplicatesOfALargeBodyLeaveNoObjects(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 16<<10)
	a, b := natstest.Dial(t, s.External(), conn.Options{}), natstest.Dial(t, s.External(), conn.Options{})
	e := natstest.Large(natstest.Event(job.Finished, "1", "COMPLETED"), 50<<10)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, err := []*publish.Store{a, b}[i%2].Publish(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := objects(t, s); got != 1 {
		t.Errorf("%d objects are there for one event", got)
	}
	events, err := b.Job(t.Context(), "demo", "1")
	if err != nil || len(events) != 1 || !bytes.Equal(events[0].Data, e.Data) {
		t.Errorf("Job = %d events, %v, want one with its whole body", len(events), err)
	}
}

// A sender that replays a large body writes nothing to the object store. The object store has no
// limit of size, and at an edge no limit of age.
func TestRepeatOfALargeBodyIsNotStored(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 16<<10)
	written := func() uint64 {
		stream, err := s.JetStream().Stream(t.Context(), "OBJ_"+conn.PayloadBucket)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.LastSeq
	}
	events := []job.Event{
		natstest.Large(natstest.Event(job.Finished, "1", "COMPLETED"), 50<<10), natstest.Large(natstest.Event(job.Progress, "1", "RUNNING"), 50<<10),
		natstest.Large(natstest.Event(job.Progress, "1", "STARTED"), 50<<10), natstest.Unrecognised(strings.Repeat("x", 50<<10)),
	}
	b := natstest.Dial(t, s.External(), conn.Options{})
	for i, e := range events {
		if got := natstest.Store(t, b, e); got.Existed || got.Sequence != uint64(i+1) {
			t.Errorf("%s: existed=%v in sequence %d, want a new one in %d", e.ID(), got.Existed, got.Sequence, i+1)
		}
	}
	before := written()
	for range 2 {
		b := natstest.Dial(t, s.External(), conn.Options{}) // with an empty cache
		for i, e := range events {
			if got := natstest.Store(t, b, e); !got.Existed || got.Sequence != uint64(i+1) || got.ID() != e.ID() {
				t.Errorf("%s: existed=%v in sequence %d as %s, want the one in %d", e.ID(), got.Existed, got.Sequence, got.ID(), i+1)
			}
		}
	}
	if now, n := written(), objects(t, s); now != before || n != len(events) {
		t.Errorf("%d messages were written, and %d objects are there, want none and %d", now-before, n, len(events))
	}
}

// Any sender can cause attempts, so their bodies must not go to the object store, which has no
// limit.
func TestAttemptTooLargeForAMessageKeepsItsDigest(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 16<<10)
	b := natstest.Dial(t, s.External(), conn.Options{})
	body := bytes.Repeat([]byte("x"), 20<<10)
	a := natstest.Attempt("mismatch")
	a.Body, a.Size, a.SHA256 = body, int64(len(body)), job.BodySHA256(body)
	if err := b.Record(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for m, err := range b.Messages(t.Context(), publish.Watch{Stream: conn.AttemptsStream}) {
		if err != nil {
			t.Fatal(err)
		}
		got, err := job.ParseAttempt(m.Subject, m.Header, m.Data)
		if err != nil || got.Body != nil || got.Size != a.Size || got.SHA256 != a.SHA256 {
			t.Errorf("got %+v, %v, want no body but its size %d and digest", got, err, a.Size)
		}
	}
	if got := objects(t, s); got != 0 {
		t.Errorf("%d objects are there for an attempt, want none", got)
	}
}

func TestMessageSizeLimitOfTheStreamApplies(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	cfg := jetstream.StreamConfig{Name: conn.JobsStream, Subjects: []string{"jobs.>"}, AllowDirect: true, MaxMsgSize: 4 << 10}
	if _, err := s.JetStream().CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	b := natstest.Dial(t, s.External(), conn.Options{})
	want := natstest.Large(natstest.Event(job.Finished, "1", "COMPLETED"), 10<<10)
	natstest.Store(t, b, want)
	if events, err := b.Job(t.Context(), "demo", "1"); err != nil || len(events) != 1 || !bytes.Equal(events[0].Data, want.Data) {
		t.Errorf("Job = %d events, %v, want one with its whole body", len(events), err)
	}
}

func TestOneBodyFromTwoSourcesIsTwoEvents(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	a := natstest.Unrecognised("the same")
	other := a
	other.Source = "other"
	first, second := natstest.Store(t, b, a), natstest.Store(t, b, other)
	if second.Existed || first.Sequence == second.Sequence {
		t.Errorf("existed=%v in sequence %d after %d, want an event of its own", second.Existed, second.Sequence, first.Sequence)
	}
}

// objects counts the objects in the object store, and the markers of removed ones.
func objects(t *testing.T, s *natstest.Server) int {
	t.Helper()
	return s.Holds("OBJ_"+conn.PayloadBucket, "$O."+conn.PayloadBucket+".M.>")
}

// A missing body makes one event incomplete. Its job and all readers continue.
func TestLostBodyAffectsOnlyItsEvent(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(context.Context, *publish.Store) error{
		"all": natstest.LoseBodies, "bucket": natstest.LoseBucket,
		"all chunks":           func(ctx context.Context, b *publish.Store) error { return natstest.LoseChunks(ctx, b, 0) },
		"all but a last chunk": func(ctx context.Context, b *publish.Store) error { return natstest.LoseChunks(ctx, b, 1) },
	} {
		t.Run(name, func(t *testing.T) { losing(t, lose) })
	}
}

func losing(t *testing.T, lose func(context.Context, *publish.Store) error) {
	t.Helper()
	s := natstest.Start(t, t.TempDir())
	b := natstest.Open(t, s)
	large := natstest.Event(job.Finished, "1", "COMPLETED")
	large.Data = append(large.Data, strings.Repeat(" ", 9<<20)...)
	first := natstest.Store(t, b, large)
	natstest.Store(t, b, natstest.Event(job.Finished, "2", "COMPLETED"))
	if err := lose(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	b = natstest.Open(t, s) // with an empty cache
	events, err := b.Job(t.Context(), "demo", "1")
	if err != nil || len(events) != 1 || !events[0].Lost || events[0].Data != nil || events[0].Job.Status != "COMPLETED" {
		t.Errorf("Job = %+v, %v, want the event without its data, lost", events, err)
	}
	if got, err := b.Publish(t.Context(), natstest.Event(job.Finished, "1", "COMPLETED")); err != nil || !got.Existed || got.Sequence != first.Sequence {
		t.Errorf("a repeat: existed=%v seq=%d, %v, want sequence %d", got.Existed, got.Sequence, err, first.Sequence)
	}
	var lost []bool
	for m, err := range b.Messages(t.Context(), publish.Watch{Stream: conn.JobsStream}) {
		if err != nil {
			t.Fatal(err)
		}
		lost = append(lost, m.Lost)
	}
	if !slices.Equal(lost, []bool{true, false}) {
		t.Errorf("Messages give events that are lost: %v, want the first of two", lost)
	}
}
