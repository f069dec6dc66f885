package publish_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish"
)

func TestABodyTooLargeForAMessageIsKeptWhole(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 16<<10)
	b := dial(t, s.external(), publish.Options{})
	bodies := map[string][]byte{}
	for _, tt := range []struct {
		name  string
		event job.Event
	}{
		{"finished", large(event(job.Finished, "1", "COMPLETED"), 300<<10)},
		{"progress", large(event(job.Progress, "1", "RUNNING"), 300<<10)},
		{"just over", large(event(job.Finished, "2", "COMPLETED"), 16<<10)},
		{"just under", large(event(job.Finished, "3", "COMPLETED"), 12<<10)},
	} {
		want := bytes.Clone(tt.event.Data)
		bodies[tt.event.Subject()] = want
		stored := store(t, b, tt.event)
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

// Each event refers to an object of its own; what a duplicate brought goes again.
func TestDuplicatesOfALargeBodyLeaveNothingBehind(t *testing.T) {
	s := somebodysServer(t, 16<<10)
	a, b := dial(t, s.external(), publish.Options{}), dial(t, s.external(), publish.Options{})
	e := large(event(job.Finished, "1", "COMPLETED"), 50<<10)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, err := []*publish.Bus{a, b}[i%2].Publish(t.Context(), e); err != nil {
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

// Whoever replays a large body adds nothing to the object store, which has no bound of size
// and at an edge none of age, and has nothing written to it.
func TestARepeatOfALargeBodyIsNotStored(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 16<<10)
	written := func() uint64 {
		stream, err := s.jetstream().Stream(t.Context(), "OBJ_"+publish.PayloadBucket)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.LastSeq
	}
	events := []job.Event{
		large(event(job.Finished, "1", "COMPLETED"), 50<<10), large(event(job.Progress, "1", "RUNNING"), 50<<10),
		large(event(job.Progress, "1", "STARTED"), 50<<10), unrecognised(strings.Repeat("x", 50<<10)),
	}
	b := dial(t, s.external(), publish.Options{})
	for i, e := range events {
		if got := store(t, b, e); got.Existed || got.Sequence != uint64(i+1) {
			t.Errorf("%s: existed=%v in sequence %d, want a new one in %d", e.ID(), got.Existed, got.Sequence, i+1)
		}
	}
	before := written()
	for range 2 {
		b := dial(t, s.external(), publish.Options{}) // which remembers nothing
		for i, e := range events {
			if got := store(t, b, e); !got.Existed || got.Sequence != uint64(i+1) || got.ID() != e.ID() {
				t.Errorf("%s: existed=%v in sequence %d as %s, want the one in %d", e.ID(), got.Existed, got.Sequence, got.ID(), i+1)
			}
		}
	}
	if now, n := written(), objects(t, s); now != before || n != len(events) {
		t.Errorf("%d messages were written, and %d objects are there, want none and %d", now-before, n, len(events))
	}
}

// Anyone can make attempts, so they must not fill what has no bound.
func TestAnAttemptTooLargeForAMessageKeepsItsDigest(t *testing.T) {
	s := somebodysServer(t, 16<<10)
	b := dial(t, s.external(), publish.Options{})
	body := bytes.Repeat([]byte("x"), 20<<10)
	a := attempt("mismatch")
	a.Body, a.Size, a.SHA256 = body, int64(len(body)), job.BodySHA256(body)
	if err := b.Record(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for m, err := range b.Messages(t.Context(), publish.Watch{Stream: publish.AttemptsStream}) {
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

func TestAMessageSizeOfTheStreamCountsToo(t *testing.T) {
	s := somebodysServer(t, 0)
	cfg := jetstream.StreamConfig{Name: publish.JobsStream, Subjects: []string{"jobs.>"}, AllowDirect: true, MaxMsgSize: 4 << 10}
	if _, err := s.jetstream().CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	b := dial(t, s.external(), publish.Options{})
	want := large(event(job.Finished, "1", "COMPLETED"), 10<<10)
	store(t, b, want)
	if events, err := b.Job(t.Context(), "demo", "1"); err != nil || len(events) != 1 || !bytes.Equal(events[0].Data, want.Data) {
		t.Errorf("Job = %d events, %v, want one with its whole body", len(events), err)
	}
}

func TestOneBodyFromTwoSourcesIsTwoEvents(t *testing.T) {
	b := open(t, start(t, t.TempDir()))
	a := unrecognised("the same")
	other := a
	other.Source = "other"
	first, second := store(t, b, a), store(t, b, other)
	if second.Existed || first.Sequence == second.Sequence {
		t.Errorf("existed=%v in sequence %d after %d, want an event of its own", second.Existed, second.Sequence, first.Sequence)
	}
}

// large puts n bytes that do not shrink into the event's body.
func large(e job.Event, n int) job.Event {
	pad := make([]byte, n)
	for i := range pad {
		pad[i] = 'a' + byte(rand.IntN(26))
	}
	e.Data = append(append(append([]byte{}, e.Data[:len(e.Data)-1]...), `,"pad":"`...), pad...)
	e.Data = append(e.Data, `"}`...)
	return e
}

// objects counts what the object store holds, markers of removed bodies too.
func objects(t *testing.T, s *somebodys) int {
	t.Helper()
	return s.holds("OBJ_"+publish.PayloadBucket, "$O."+publish.PayloadBucket+".M.>")
}

// A body that is not there any more costs itself. Its job goes on, and so does who reads.
func TestALostBodyBreaksNothing(t *testing.T) {
	for name, lose := range map[string]func(context.Context, *publish.Bus) error{
		"all": publish.LoseBodies, "bucket": publish.LoseBucket,
		"all chunks":           func(ctx context.Context, b *publish.Bus) error { return publish.LoseChunks(ctx, b, 0) },
		"all but a last chunk": func(ctx context.Context, b *publish.Bus) error { return publish.LoseChunks(ctx, b, 1) },
	} {
		t.Run(name, func(t *testing.T) { losing(t, lose) })
	}
}

func losing(t *testing.T, lose func(context.Context, *publish.Bus) error) {
	t.Helper()
	s := start(t, t.TempDir())
	b := open(t, s)
	large := event(job.Finished, "1", "COMPLETED")
	large.Data = append(large.Data, strings.Repeat(" ", 9<<20)...)
	first := store(t, b, large)
	store(t, b, event(job.Finished, "2", "COMPLETED"))
	if err := lose(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	b = open(t, s) // which remembers nothing
	events, err := b.Job(t.Context(), "demo", "1")
	if err != nil || len(events) != 1 || !events[0].Lost || events[0].Data != nil || events[0].Job.Status != "COMPLETED" {
		t.Errorf("Job = %+v, %v, want the event without its data, lost", events, err)
	}
	if got, err := b.Publish(t.Context(), event(job.Finished, "1", "COMPLETED")); err != nil || !got.Existed || got.Sequence != first.Sequence {
		t.Errorf("a repeat: existed=%v seq=%d, %v, want sequence %d", got.Existed, got.Sequence, err, first.Sequence)
	}
	var lost []bool
	for m, err := range b.Messages(t.Context(), publish.Watch{Stream: publish.JobsStream}) {
		if err != nil {
			t.Fatal(err)
		}
		lost = append(lost, m.Lost)
	}
	if !slices.Equal(lost, []bool{true, false}) {
		t.Errorf("Messages give events that are lost: %v, want the first of two", lost)
	}
}
