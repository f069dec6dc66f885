package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/publish"
)

func TestAnEventIsStoredOnce(t *testing.T) {
	b := open(t, start(t, t.TempDir()))
	for _, tt := range []struct {
		name          string
		event         job.Event
		wantExisted   bool
		wantSeq       uint64
		wantResult    job.Result
		wantSubject   string
		otherEvidence bool
	}{
		{name: "submitted", event: event(job.Submitted, "1", "CREATED"), wantSeq: 1, wantSubject: "jobs.demo.1.submitted"},
		{name: "progress", event: event(job.Progress, "1", "RUNNING"), wantSeq: 2, wantSubject: "jobs.demo.1.progress"},
		{name: "the same progress", event: event(job.Progress, "1", "running"), wantExisted: true, wantSeq: 2, wantSubject: "jobs.demo.1.progress"},
		{name: "other progress", event: event(job.Progress, "1", "STARTED"), wantSeq: 3, wantSubject: "jobs.demo.1.progress"},
		{name: "finished", event: event(job.Finished, "1", "COMPLETED"), wantSeq: 4, wantSubject: "jobs.demo.1.finished", wantResult: job.Succeeded},
		{name: "finished again", event: event(job.Finished, "1", "COMPLETED"), wantExisted: true, wantSeq: 4, wantSubject: "jobs.demo.1.finished", wantResult: job.Succeeded},
		{name: "finished otherwise", event: event(job.Finished, "1", "ABORTED"), wantExisted: true, wantSeq: 4, wantSubject: "jobs.demo.1.finished", wantResult: job.Succeeded},
		{name: "conflict", event: event(job.Conflict, "1", "ABORTED"), wantSeq: 5, wantSubject: "jobs.demo.1.conflict", wantResult: job.Failed},
		{name: "conflict again", event: event(job.Conflict, "1", "ABORTED"), wantExisted: true, wantSeq: 5, wantSubject: "jobs.demo.1.conflict", wantResult: job.Failed},
		{name: "another job", event: event(job.Finished, "2", "COMPLETED"), wantSeq: 6, wantSubject: "jobs.demo.2.finished", wantResult: job.Succeeded},
		{name: "unrecognised", event: unrecognised("x"), wantSeq: 7, wantSubject: unrecognised("x").Subject()},
		{name: "the same unrecognised", event: unrecognised("x"), wantExisted: true, wantSeq: 7, wantSubject: unrecognised("x").Subject()},
		{name: "other unrecognised", event: unrecognised("y"), wantSeq: 8, wantSubject: unrecognised("y").Subject()},
	} {
		got, err := b.Publish(t.Context(), tt.event)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got.Existed != tt.wantExisted || got.Sequence != tt.wantSeq || got.Subject() != tt.wantSubject || got.Job.Result != tt.wantResult {
			t.Errorf("%s: got existed=%v seq=%d subject=%s result=%q, want %v %d %s %q", tt.name,
				got.Existed, got.Sequence, got.Subject(), got.Job.Result, tt.wantExisted, tt.wantSeq, tt.wantSubject, tt.wantResult)
		}
	}
}

func TestOneOfManyAtOnceWins(t *testing.T) {
	s := start(t, t.TempDir())
	buses := []*publish.Bus{patient(t, s), patient(t, s)}
	const jobs, callers = 1000, 2
	var wg sync.WaitGroup
	won := make([]int, jobs)
	var mu sync.Mutex
	for i := range jobs {
		for c := range callers {
			wg.Go(func() {
				got, err := buses[c].Publish(t.Context(), event(job.Finished, fmt.Sprint(i), "COMPLETED"))
				if err != nil {
					t.Error(err)
				}
				if !got.Existed {
					mu.Lock()
					won[i]++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for i, n := range won {
		if n != 1 {
			t.Errorf("job %d was stored by %d callers, want 1", i, n)
		}
	}
	if got := count(t, buses[0], publish.JobsStream); got != jobs {
		t.Errorf("JOBS holds %d events of %d jobs", got, jobs)
	}
}

func TestWhatIsStoredSurvivesARestart(t *testing.T) {
	folder := t.TempDir()
	s, err := publish.Start(embedded(folder))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Open(t.Context(), publish.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := b.Publish(t.Context(), event(job.Finished, "1", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Stop()

	b = open(t, start(t, folder))
	got, err := b.Publish(t.Context(), event(job.Finished, "1", "COMPLETED"))
	if err != nil || !got.Existed || got.Sequence != want.Sequence {
		t.Errorf("after a restart: existed=%v seq=%d err=%v, want the event of sequence %d", got.Existed, got.Sequence, err, want.Sequence)
	}
}

func TestAttemptsAreRecorded(t *testing.T) {
	b := open(t, start(t, t.TempDir()))
	a := job.Attempt{Source: "demo", Verdict: "mismatch", Receipt: job.Receipt{Received: time.Now()}, Body: []byte("{}"), Size: 2}
	if !offer(b, a) {
		t.Fatal("Offer = false on an empty queue")
	}
	a.Verdict = job.Duplicate
	if err := b.Record(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	subjects := map[string]bool{}
	for m, err := range b.Messages(ctx, publish.Watch{Stream: publish.AttemptsStream, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if subjects[m.Subject] = true; len(subjects) == 2 {
			break
		}
	}
	for _, want := range []string{"attempts.demo.mismatch", "attempts.demo.duplicate"} {
		if !subjects[want] {
			t.Errorf("no message on %s", want)
		}
	}
}

func TestAFolderHasOneOwner(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	start(t, folder)
	if _, err := publish.Start(embedded(folder)); !errors.Is(err, publish.ErrInUse) {
		t.Errorf("second Start = %v, want ErrInUse", err)
	}
	if _, err := publish.Inspect(folder, zerolog.Nop()); !errors.Is(err, publish.ErrInUse) {
		t.Errorf("Inspect of a running folder = %v, want ErrInUse", err)
	}
	b, err := publish.Attach(t.Context(), folder, publish.Options{})
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	defer b.Close(context.Background())
	if _, err := b.Publish(t.Context(), event(job.Submitted, "1", "CREATED")); err != nil {
		t.Errorf("publishing through Attach: %v", err)
	}
}

func event(k job.Kind, id, status string) job.Event {
	body := []byte(fmt.Sprintf(`{"id":%q,"status":%q}`, id, status))
	v, err := job.Read(body)
	if err != nil {
		panic(err)
	}
	return job.Event{Kind: k, Source: "demo", Job: v, Time: time.Now(), Evidence: job.ByCallback, Data: body}
}

func unrecognised(body string) job.Event {
	now := time.Now()
	return job.Event{
		Kind: job.Unrecognised, Source: "demo", Time: now, Evidence: job.ByCallback, Reason: "not_json", Data: []byte(body),
		Receipt: &job.Receipt{Signature: "sha256=abc", Key: "first", Fingerprint: "sha256:1", Remote: "192.0.2.7", Received: now, Request: "{}"},
	}
}

func embedded(folder string) publish.Embedded {
	return publish.Embedded{Folder: folder, Address: "127.0.0.1:0", Log: zerolog.Nop()}
}

func start(t *testing.T, folder string) *publish.Server {
	t.Helper()
	s, err := publish.Start(embedded(folder))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func open(t *testing.T, s *publish.Server) *publish.Bus { return openWith(t, s, publish.Options{}) }

// patient opens streams for what may take its time on a busy machine.
func patient(t *testing.T, s *publish.Server) *publish.Bus {
	return openWith(t, s, publish.Options{Timeout: time.Minute})
}

// largest fills the event's body up to what the embedded server takes without its headers.
func largest(e job.Event) job.Event {
	e.Data = append(e.Data, bytes.Repeat([]byte(" "), 8<<20-len(e.Data))...)
	return e
}

func count(t *testing.T, b *publish.Bus, stream string) (n int) {
	t.Helper()
	for _, err := range b.Messages(t.Context(), publish.Watch{Stream: stream}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func store(t *testing.T, b *publish.Bus, e job.Event) job.Stored {
	t.Helper()
	got, err := b.Publish(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func attempt(verdict string) job.Attempt {
	body := []byte("not for us")
	return job.Attempt{
		Source: "demo", Verdict: verdict, Receipt: job.Receipt{Received: time.Now()},
		Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body),
	}
}
