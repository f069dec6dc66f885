package publish_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

func TestAnOutageIsAnsweredInTimeAndGetsOver(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{Timeout: time.Minute})
	first := store(t, b, event(job.Finished, "1", "COMPLETED"))
	s.stop()
	for what, try := range map[string]func(context.Context) error{
		"Publish": func(ctx context.Context) error {
			_, err := b.Publish(ctx, event(job.Finished, "2", "COMPLETED"))
			return err
		},
		"Publish of progress": func(ctx context.Context) error {
			_, err := b.Publish(ctx, event(job.Progress, "2", "RUNNING"))
			return err
		},
		"Publish of what is unrecognised": func(ctx context.Context) error {
			_, err := b.Publish(ctx, unrecognised("x"))
			return err
		},
		"Record": func(ctx context.Context) error { return b.Record(ctx, attempt("mismatch")) },
		"Job":    func(ctx context.Context) error { _, err := b.Job(ctx, "demo", "1"); return err },
	} {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := try(ctx); !errors.Is(err, publish.ErrUnavailable) {
			t.Errorf("%s without a server = %v, want ErrUnavailable", what, err)
		}
		cancel()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s without a server took %v, want no more than its deadline", what, took)
		}
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Error("Ready = nil without a server")
	}
	s.start()
	eventually(t, "the connection to come back", func() bool { return b.Ready(t.Context()) == nil })
	if got := store(t, b, event(job.Finished, "1", "COMPLETED")); !got.Existed || got.Sequence != first.Sequence {
		t.Errorf("what was stored before: existed=%v seq=%d, want sequence %d", got.Existed, got.Sequence, first.Sequence)
	}
	if got := store(t, b, event(job.Finished, "2", "COMPLETED")); got.Existed {
		t.Error("what was answered ErrUnavailable was stored behind the caller's back")
	}
}

// A server that is there but takes nothing in, or a line that is cut without a word, is
// harder than one that has gone: nothing fails.
func TestASilentServerIsAnOutage(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	w := newWall(t, s.ns.Addr().String())
	b := dial(t, publish.External{URLs: []string{w.url()}}, publish.Options{Timeout: time.Second})
	store(t, b, event(job.Finished, "1", "COMPLETED"))
	w.close()
	large := event(job.Finished, "2", "COMPLETED")
	large.Data = append(large.Data, make([]byte, 900<<10)...)
	// The socket's buffers fill up, and then the writes themselves wait.
	for i := range 12 {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := b.Publish(ctx, large); !errors.Is(err, publish.ErrUnavailable) {
			t.Fatalf("Publish = %v, want ErrUnavailable", err)
		}
		cancel()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("Publish %d took %v, want little more than Options.Timeout", i, took)
		}
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	offer(b, attempt("mismatch"))
	_ = b.Close(ctx)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %v with a deadline of 100ms, want little more than Options.Timeout", took)
	}
}

// A line that is cut while nothing fills it is noticed only by asking. There may be another
// server, so that must not take long.
func TestASilentServerIsLeftForAnother(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	w := newWall(t, s.ns.Addr().String())
	var said logs
	b := dial(t, publish.External{URLs: []string{w.url()}}, publish.Options{Timeout: time.Second, Log: said.logger()})
	store(t, b, event(job.Finished, "1", "COMPLETED"))
	w.close()
	eventually(t, "the loss of the connection to be said", func() bool { return strings.Contains(said.String(), "connection to NATS lost") })
}

func TestCloseStoresTheAttemptsThatWait(t *testing.T) {
	s := start(t, t.TempDir())
	b, err := s.Open(t.Context(), publish.Options{AttemptQueue: 500})
	if err != nil {
		t.Fatal(err)
	}
	const attempts = 300
	for range attempts {
		if !offer(b, attempt("mismatch")) {
			t.Fatal("Offer = false with room in the queue")
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if offer(b, attempt("mismatch")) {
		t.Error("Offer = true after Close")
	}
	if got := b.Dropped(); got != 1 {
		t.Errorf("Dropped = %d, want the 1 that came after Close", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("second Close = %v, want nil", err)
	}
	if got := count(t, open(t, s), publish.AttemptsStream); got != attempts {
		t.Errorf("ATTEMPTS holds %d, want %d", got, attempts)
	}
}

func TestAFloodOfRefusalsNeverWaitsAndIsCounted(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	w := newWall(t, s.ns.Addr().String())
	b := dial(t, publish.External{URLs: []string{w.url()}}, publish.Options{AttemptQueue: 100, Timeout: 200 * time.Millisecond})
	w.close()
	taken, began := 0, time.Now()
	const offers = 1000
	for range offers {
		if offer(b, attempt("mismatch")) {
			taken++
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("%d offers took %v, want no waiting", offers, took)
	}
	if taken < 100 || taken > 100+publish.AttemptsAtOnce {
		t.Errorf("%d offers were taken, want the queue's 100 and those that are being stored, %d at most", taken, publish.AttemptsAtOnce)
	}
	began = time.Now()
	if err := b.Close(context.Background()); err == nil {
		t.Error("Close = nil though nothing could be stored")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %v, want little more than Options.Timeout", took)
	}
	if got := b.Dropped(); got != offers {
		t.Errorf("Dropped = %d after Close, want all %d", got, offers)
	}
}

func TestAttemptsOfAnOutageAreCountedAsDropped(t *testing.T) {
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{})
	s.stop()
	for i := range 10 {
		offer(b, attempt(fmt.Sprint("mismatch", i)))
	}
	began := time.Now()
	if err := b.Close(context.Background()); err != nil {
		t.Errorf("Close without a server = %v", err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Close without a server took %v", took)
	}
	if got := b.Dropped(); got != 10 {
		t.Errorf("Dropped = %d, want 10", got)
	}
}

func TestFollowingGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	b := dial(t, s.external(), publish.Options{})
	store(t, b, event(job.Finished, "1", "COMPLETED"))
	ctx, cancel := context.WithCancel(t.Context())
	got, ended := make(chan publish.Message, 10), make(chan bool)
	go func() {
		defer close(ended)
		for m, err := range b.Messages(ctx, publish.Watch{Follow: true}) {
			if err != nil {
				t.Error(err)
			}
			got <- m
		}
	}()
	if m := <-got; m.Subject != "jobs.demo.1.finished" {
		t.Errorf("got %s before the outage", m.Subject)
	}
	s.stop()
	s.start()
	eventually(t, "the connection to come back", func() bool { return b.Ready(t.Context()) == nil })
	store(t, b, event(job.Finished, "2", "COMPLETED"))
	select {
	case m := <-got:
		if m.Subject != "jobs.demo.2.finished" {
			t.Errorf("got %s after the outage, want each once", m.Subject)
		}
	case <-time.After(time.Minute):
		t.Error("nothing came after the outage")
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("Messages did not end with its context")
	}
}

// A flood leaves as much on record as the rate allows; the rest waits, or is dropped.
func TestRefusalsAreStoredAtARate(t *testing.T) {
	s := start(t, t.TempDir())
	b, err := s.Open(t.Context(), publish.Options{AttemptQueue: 200, AttemptRate: 1})
	if err != nil {
		t.Fatal(err)
	}
	reader := open(t, s)
	began := time.Now()
	for n := range 2 {
		offer(b, attempt("mismatch"))
		eventually(t, "the attempt to be stored", func() bool { return count(t, reader, publish.AttemptsStream) == n+1 })
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("the second was stored after %v at a rate of one in a second", took)
	}
	for range 100 {
		offer(b, attempt("mismatch"))
	}
	// Whoever stops does not wait for the rate.
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := count(t, reader, publish.AttemptsStream); got != 102 {
		t.Errorf("%d attempts are stored after Close, want 102", got)
	}
}

func offer(b *publish.Bus, a job.Attempt) bool {
	return b.Offer(func() job.Attempt { return a })
}
