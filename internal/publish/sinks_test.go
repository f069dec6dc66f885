package publish_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// take takes n events of the sink `orders`, and ends without a word about those that are not done.
func take(t *testing.T, b *publish.Store, n int, done func(seq uint64) bool) (got []uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_ = b.Take(ctx, "orders", []string{"jobs.*.*.*"}, true, func(context.Context) int { return n - len(got) }, func(h job.Handed) {
		got = append(got, h.Sequence)
		if done(h.Sequence) {
			if err := h.Done(); err != nil {
				t.Error(err)
			}
		}
		if len(got) == n {
			cancel()
		}
	})
	return got
}

// TestWhatAKilledTakerLeftComesFirst: by the next one's hand, before anything newer, and nothing
// that is done.
func TestWhatAKilledTakerLeftComesFirst(t *testing.T) {
	for name, open := range map[string]func() *publish.Store{
		"a cluster": func() *publish.Store { return natstest.Dial(t, natstest.NewServer(t, 0).External(), conn.Options{}) },
		"embedded":  func() *publish.Store { return natstest.Open(t, natstest.Start(t, t.TempDir())) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open()
			for n := range 8 {
				if _, err := b.Publish(t.Context(), natstest.Event(job.Submitted, fmt.Sprint(n), "CREATED")); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := take(t, b, 5, func(seq uint64) bool { return seq == 2 || seq == 4 }), []uint64{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
				t.Fatalf("the first took %v, want %v", got, want)
			}
			if got, want := take(t, b, 6, func(uint64) bool { return true }), []uint64{1, 3, 5, 6, 7, 8}; !slices.Equal(got, want) {
				t.Errorf("the next took %v, want %v", got, want)
			}
			natstest.Eventually(t, "nothing to be pending", func() bool {
				l, err := b.Backlog(t.Context(), "orders")
				return err == nil && l == job.Backlog{}
			})
		})
	}
}

// TestDeliveryRecords: one record for each job, replaced on the condition that it is the one that
// was read, and removed when its event is not kept any more.
func TestDeliveryRecords(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	d := job.Delivery{Sink: "orders", Job: "demo.~YS5i", Next: 3, Last: 4, Tries: 1}
	seq, stored, err := b.PutDelivery(t.Context(), d)
	if err != nil || !stored {
		t.Fatalf("PutDelivery = %v, %v", stored, err)
	}
	if _, stored, err := b.PutDelivery(t.Context(), d); err != nil || stored {
		t.Errorf("PutDelivery over an unknown one = %v, %v, want false", stored, err)
	}
	d.Sequence, d.Tries = seq, 2
	if _, stored, err := b.PutDelivery(t.Context(), d); err != nil || !stored {
		t.Errorf("PutDelivery over the one that was read = %v, %v, want true", stored, err)
	}
	if removed, err := b.RemoveDelivery(t.Context(), d); err != nil || removed {
		t.Errorf("RemoveDelivery of the one before = %v, %v, want false", removed, err)
	}
	if l, err := b.Backlog(t.Context(), "orders"); err != nil || l.Retrying != 1 || l.GivenUp != 0 {
		t.Errorf("Backlog = %+v, %v, want one job that is retried", l, err)
	}
	gone := job.Delivery{Sink: "orders", Job: "demo.1", Next: 1, Last: 1, GivenUp: true}
	if _, stored, err := b.PutDelivery(t.Context(), gone); err != nil || !stored {
		t.Fatalf("PutDelivery = %v, %v", stored, err)
	}
	for n := range 2 {
		if _, err := b.Publish(t.Context(), natstest.Event(job.Submitted, fmt.Sprint(n), "CREATED")); err != nil {
			t.Fatal(err)
		}
	}
	for _, below := range []uint64{1, 2} {
		if err := natstest.Drop(t.Context(), b, conn.JobsStream, below); err != nil {
			t.Fatal(err)
		}
		if err := b.ForgetDeliveries(t.Context(), "orders"); err != nil {
			t.Fatal(err)
		}
		want := job.Backlog{Pending: 0, Retrying: 1, GivenUp: 2 - int(below)}
		if l, err := b.Backlog(t.Context(), "orders"); err != nil || l != want {
			t.Errorf("with the events from %d on kept, Backlog = %+v, %v, want %+v", below, l, err, want)
		}
	}
}
