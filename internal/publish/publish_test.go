package publish_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestEventIsStoredOnce(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for _, tt := range []struct {
		name          string
		event         job.Event
		wantExisted   bool
		wantSeq       uint64
		wantResult    job.Result
		wantSubject   string
		otherEvidence bool
	}{
		{name: "submitted", event: natstest.Event(job.Submitted, "1", "CREATED"), wantSeq: 1, wantSubject: "jobs.demo.1.submitted"},
		{name: "progress", event: natstest.Event(job.Progress, "1", "RUNNING"), wantSeq: 2, wantSubject: "jobs.demo.1.progress"},
		{name: "the same progress", event: natstest.Event(job.Progress, "1", "running"), wantExisted: true, wantSeq: 2, wantSubject: "jobs.demo.1.progress"},
		{name: "other progress", event: natstest.Event(job.Progress, "1", "STARTED"), wantSeq: 3, wantSubject: "jobs.demo.1.progress"},
		{name: "finished", event: natstest.Event(job.Finished, "1", "COMPLETED"), wantSeq: 4, wantSubject: "jobs.demo.1.finished", wantResult: job.Succeeded},
		{name: "finished again", event: natstest.Event(job.Finished, "1", "COMPLETED"), wantExisted: true, wantSeq: 4, wantSubject: "jobs.demo.1.finished", wantResult: job.Succeeded},
		{name: "finished otherwise", event: natstest.Event(job.Finished, "1", "ABORTED"), wantExisted: true, wantSeq: 4, wantSubject: "jobs.demo.1.finished", wantResult: job.Succeeded},
		{name: "conflict", event: natstest.Event(job.Conflict, "1", "ABORTED"), wantSeq: 5, wantSubject: "jobs.demo.1.conflict", wantResult: job.Failed},
		{name: "conflict again", event: natstest.Event(job.Conflict, "1", "ABORTED"), wantExisted: true, wantSeq: 5, wantSubject: "jobs.demo.1.conflict", wantResult: job.Failed},
		{name: "another job", event: natstest.Event(job.Finished, "2", "COMPLETED"), wantSeq: 6, wantSubject: "jobs.demo.2.finished", wantResult: job.Succeeded},
		{name: "unrecognised", event: natstest.Unrecognised("x"), wantSeq: 7, wantSubject: natstest.Unrecognised("x").Subject()},
		{name: "the same unrecognised", event: natstest.Unrecognised("x"), wantExisted: true, wantSeq: 7, wantSubject: natstest.Unrecognised("x").Subject()},
		{name: "other unrecognised", event: natstest.Unrecognised("y"), wantSeq: 8, wantSubject: natstest.Unrecognised("y").Subject()},
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

func TestConcurrentCallersStoreOneEvent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	buses := []*publish.Store{patient(t, s), patient(t, s)}
	const jobs, callers = 1000, 2
	var wg sync.WaitGroup
	won := make([]int, jobs)
	var mu sync.Mutex
	for i := range jobs {
		for c := range callers {
			wg.Go(func() {
				got, err := buses[c].Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
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
	if got := natstest.Count(t, buses[0], conn.JobsStream); got != jobs {
		t.Errorf("JOBS holds %d events of %d jobs", got, jobs)
	}
}

func TestStoredEventSurvivesARestart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s, err := natsserver.Start(natstest.Embedded(folder))
	if err != nil {
		t.Fatal(err)
	}
	b, err := publish.Open(t.Context(), s, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := b.Publish(t.Context(), natstest.Event(job.Finished, "1", "COMPLETED"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Stop()

	b = natstest.Open(t, natstest.Start(t, folder))
	got, err := b.Publish(t.Context(), natstest.Event(job.Finished, "1", "COMPLETED"))
	if err != nil || !got.Existed || got.Sequence != want.Sequence {
		t.Errorf("after a restart: existed=%v seq=%d err=%v, want the event of sequence %d", got.Existed, got.Sequence, err, want.Sequence)
	}
}

func TestAttemptsAreRecorded(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
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
	for m, err := range b.Messages(ctx, publish.Watch{Stream: conn.AttemptsStream, Follow: true}) {
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

func TestFolderHasOneOwner(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	natstest.Start(t, folder)
	if _, err := natsserver.Start(natstest.Embedded(folder)); !errors.Is(err, storefolder.ErrInUse) {
		t.Errorf("second Start = %v, want ErrInUse", err)
	}
	if _, err := natsserver.Inspect(folder, zerolog.Nop()); !errors.Is(err, storefolder.ErrInUse) {
		t.Errorf("Inspect of a running folder = %v, want ErrInUse", err)
	}
	b, err := publish.Attach(t.Context(), folder, conn.Options{})
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	defer b.Close(context.Background())
	if _, err := b.Publish(t.Context(), natstest.Event(job.Submitted, "1", "CREATED")); err != nil {
		t.Errorf("publishing through Attach: %v", err)
	}
}

// patient opens a store with a long timeout, for a busy machine.
func patient(t *testing.T, s *natsserver.Server) *publish.Store {
	return natstest.OpenWith(t, s, conn.Options{Timeout: time.Minute})
}
