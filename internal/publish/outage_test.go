package publish_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestCallsFailInTimeDuringAnOutage(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{Timeout: time.Minute})
	first := natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	s.Stop()
	for what, try := range map[string]func(context.Context) error{
		"Publish": func(ctx context.Context) error {
			_, err := b.Publish(ctx, natstest.Event(job.Finished, "2", "COMPLETED"))
			return err
		},
		"Publish of progress": func(ctx context.Context) error {
			_, err := b.Publish(ctx, natstest.Event(job.Progress, "2", "RUNNING"))
			return err
		},
		"Publish of what is unrecognised": func(ctx context.Context) error {
			_, err := b.Publish(ctx, natstest.Unrecognised("x"))
			return err
		},
		"Record": func(ctx context.Context) error { return b.Record(ctx, natstest.Attempt("mismatch")) },
		"Job":    func(ctx context.Context) error { _, err := b.Job(ctx, "demo", "1"); return err },
	} {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := try(ctx); !errors.Is(err, conn.ErrUnavailable) {
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
	s.Start()
	natstest.Eventually(t, "the connection to come back", func() bool { return b.Ready(t.Context()) == nil })
	if got := natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED")); !got.Existed || got.Sequence != first.Sequence {
		t.Errorf("what was stored before: existed=%v seq=%d, want sequence %d", got.Existed, got.Sequence, first.Sequence)
	}
	if got := natstest.Store(t, b, natstest.Event(job.Finished, "2", "COMPLETED")); got.Existed {
		t.Error("what was answered ErrUnavailable was stored behind the caller's back")
	}
}

// A server that reads nothing, or a connection that is cut without notice, is harder to detect than
// a server that has stopped: no call fails by itself.
func TestSilentServerIsAnOutage(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	w := natstest.NewWall(t, s.NATS.Addr().String())
	b := natstest.Dial(t, conn.External{URLs: []string{w.URL()}}, conn.Options{Timeout: time.Second})
	natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	w.Close()
	large := natstest.Event(job.Finished, "2", "COMPLETED")
	large.Data = append(large.Data, make([]byte, 900<<10)...)
	// When the buffers of the socket are full, the writes themselves wait.
	for i := range 12 {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := b.Publish(ctx, large); !errors.Is(err, conn.ErrUnavailable) {
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
	offer(b, natstest.Attempt("mismatch"))
	_ = b.Close(ctx)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %v with a deadline of 100ms, want little more than Options.Timeout", took)
	}
}

// Only a ping detects that an idle connection is cut. Another server may be available, so the
// detection must be fast.
func TestSilentServerIsDetected(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	w := natstest.NewWall(t, s.NATS.Addr().String())
	var said natstest.Logs
	b := natstest.Dial(t, conn.External{URLs: []string{w.URL()}}, conn.Options{Timeout: time.Second, Log: said.Logger()})
	natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	w.Close()
	natstest.Eventually(t, "the loss of the connection to be said", func() bool { return strings.Contains(said.String(), "the connection to NATS is lost") })
}

func TestCloseStoresQueuedAttempts(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	b, err := publish.Open(t.Context(), s, conn.Options{AttemptQueue: 500})
	if err != nil {
		t.Fatal(err)
	}
	const attempts = 300
	for range attempts {
		if !offer(b, natstest.Attempt("mismatch")) {
			t.Fatal("Offer = false with room in the queue")
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if offer(b, natstest.Attempt("mismatch")) {
		t.Error("Offer = true after Close")
	}
	if got := b.Dropped(); got != 1 {
		t.Errorf("Dropped = %d, want the 1 that came after Close", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("second Close = %v, want nil", err)
	}
	if got := natstest.Count(t, natstest.Open(t, s), conn.AttemptsStream); got != attempts {
		t.Errorf("ATTEMPTS holds %d, want %d", got, attempts)
	}
}

func TestOfferNeverBlocksAndCountsDrops(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	w := natstest.NewWall(t, s.NATS.Addr().String())
	b := natstest.Dial(t, conn.External{URLs: []string{w.URL()}}, conn.Options{AttemptQueue: 100, Timeout: 200 * time.Millisecond})
	w.Close()
	taken, began := 0, time.Now()
	const offers = 1000
	for range offers {
		if offer(b, natstest.Attempt("mismatch")) {
			taken++
		}
	}
	if took := time.Since(began); took > 10*time.Second {
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
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	s.Stop()
	for i := range 10 {
		offer(b, natstest.Attempt(fmt.Sprint("mismatch", i)))
	}
	began := time.Now()
	if err := b.Close(context.Background()); err != nil {
		t.Errorf("Close without a server = %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close without a server took %v", took)
	}
	if got := b.Dropped(); got != 10 {
		t.Errorf("Dropped = %d, want 10", got)
	}
}

func TestFollowingContinuesAfterAnOutage(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
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
	s.Stop()
	s.Start()
	natstest.Eventually(t, "the connection to come back", func() bool { return b.Ready(t.Context()) == nil })
	natstest.Store(t, b, natstest.Event(job.Finished, "2", "COMPLETED"))
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

// During a flood refusals are stored at the configured rate. The others wait in the queue, or are
// dropped.
func TestRefusalsAreStoredAtALimitedRate(t *testing.T) {
	s := natstest.Start(t, t.TempDir())
	b, err := publish.Open(t.Context(), s, conn.Options{AttemptQueue: 200, AttemptRate: 1})
	if err != nil {
		t.Fatal(err)
	}
	reader := natstest.Open(t, s)
	began := time.Now()
	for n := range 2 {
		offer(b, natstest.Attempt("mismatch"))
		natstest.Eventually(t, "the attempt to be stored", func() bool { return natstest.Count(t, reader, conn.AttemptsStream) == n+1 })
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("the second was stored after %v at a rate of one in a second", took)
	}
	for range 100 {
		offer(b, natstest.Attempt("mismatch"))
	}
	// Close does not wait for the rate.
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := natstest.Count(t, reader, conn.AttemptsStream); got != 102 {
		t.Errorf("%d attempts are stored after Close, want 102", got)
	}
}

func offer(b *publish.Store, a job.Attempt) bool {
	return b.Offer(func() job.Attempt { return a })
}
