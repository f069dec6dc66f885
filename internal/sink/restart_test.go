package sink_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/sink"
)

// TestTwoReplicasDoNotBothPost: one posts, and when it stops, the other goes on.
func TestTwoReplicasDoNotBothPost(t *testing.T) {
	t.Parallel()
	server := natstest.NewServer(t, 0)
	e := newEndpoint(t, nil)
	a, b := natstest.Dial(t, server.External(), conn.Options{}), natstest.Dial(t, server.External(), conn.Options{})
	r := newRig(t, a, e)
	var both takers
	replica := func(store *publish.Store) (stop func()) {
		r.lease = func(ctx context.Context, name string) (sink.Lease, error) { return store.Lease(ctx, name) }
		return r.run(r.sinks(counted{store, &both}))
	}
	stop := replica(a)
	replica(b)
	var want []string
	for n := range 20 {
		want = append(want, r.publish(story(fmt.Sprint(n))...)...)
	}
	e.await(want...)
	stop()
	for n := range 20 {
		want = append(want, r.publish(story(fmt.Sprint("next-", n))...)...)
	}
	e.await(want...)
	if most := both.most.Load(); most != 1 {
		t.Errorf("%d replicas took events at the same time, want 1", most)
	}
}

// TestRestartLosesNothing: an end in the middle of posts, clean or not. Nothing is lost, and the
// order of each job is that of the stream.
func TestRestartLosesNothing(t *testing.T) {
	for name, kill := range map[string]bool{"stopped": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var posts atomic.Int32
			e := newEndpoint(t, nil)
			server := natstest.Start(t, t.TempDir())
			r := newRig(t, natstest.Open(t, server), e)
			first := natstest.Open(t, server)
			enough := make(chan struct{})
			e.Answer(func(a arrival) int {
				if posts.Add(1) == 30 {
					close(enough)
				}
				if a.job == "bad" {
					return http.StatusInternalServerError
				}
				return http.StatusOK
			})
			stop := r.run(r.sinks(first))
			var want []string
			want = append(want, r.publish(story("bad")...)...)
			for n := range 40 {
				want = append(want, r.publish(story(fmt.Sprint(n))...)...)
			}
			<-enough
			if kill { // the store is gone under its hands: nothing can be acknowledged any more
				_ = first.Close(t.Context())
			}
			stop()
			e.Answer(nil)
			r.run(r.sinks(r.store))
			natstest.Eventually(t, "every event to be accepted", func() bool { return len(once(e.accepted())) == len(want) })
			if got := once(e.accepted()); !slices.Equal(byJob(got), byJob(want)) {
				t.Errorf("accepted by job %q, want %q", byJob(got), byJob(want))
			}
			if !kill && len(e.accepted()) > len(want)+8 {
				t.Errorf("%d posts for %d events: more than those in progress were repeated", len(e.accepted()), len(want))
			}
		})
	}
}

// once is ids without repeats.
func once(ids []string) (all []string) {
	for _, id := range ids {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// TestTriesAreRememberedOverARestart: a restart begins no new three days.
func TestTriesAreRememberedOverARestart(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(arrival) int { return http.StatusInternalServerError })
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	stop := r.run(r.sinks(r.store).Quick(time.Millisecond, time.Millisecond, time.Hour))
	r.publish(natstest.Event(job.Submitted, "1", "CREATED"))
	natstest.Eventually(t, "the third try", func() bool {
		open := r.open()
		return len(open) == 1 && open[0].Tries == 3
	})
	stop()
	before := r.open()[0]
	r.run(r.sinks(r.store).Quick(time.Millisecond, time.Millisecond, time.Hour))
	r.publish(natstest.Event(job.Submitted, "2", "CREATED"))
	natstest.Eventually(t, "the next session", func() bool { return len(r.open()) == 2 })
	if after := r.open()[0]; after.Tries != 3 || !after.Since.Equal(before.Since) || !after.Due.Equal(before.Due) {
		t.Errorf("the record is %+v, want %+v", after, before)
	}
}
