//go:build e2e

package edge_test

import (
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// Heartbeats are late behind a large body. The link stays open.
func TestLargeBodiesOnASlowLinkLong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		pace, size int
	}{
		{"a message", 64 << 10, 900 << 10},
		{"an object", 512 << 10, 7800 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, _ := natstest.NewHub(t)
			c := newCable(t, hub.Leaves())
			c.pace.Store(int64(tt.pace))
			r := newEdge(t, "rim-1", c.addr())
			r.timeout = 0
			natstest.Store(t, r.Store, natstest.Called(job.Finished, "before", "COMPLETED"))
			natstest.Store(t, r.Store, natstest.Sized(job.Finished, "large", tt.size))
			natstest.Store(t, r.Store, natstest.Called(job.Finished, "after", "COMPLETED"))
			began := time.Now()
			r.forward()
			deadline := time.After(time.Minute)
			for hub.Holds(conn.JobsStream, "jobs.demo.after.finished") == 0 {
				select {
				case <-deadline:
					t.Fatalf("the hub has not everything after a minute: %s", r.logs.String())
				case <-time.After(100 * time.Millisecond):
				}
			}
			t.Logf("%d bytes for a body of %d in %v", c.sent.Load(), tt.size, time.Since(began))
			if n := c.sent.Load(); n > int64(tt.size)*3/2 {
				t.Errorf("%d bytes went to the hub, want the %d of the body once", n, tt.size)
			}
		})
	}
}

// The link is cut again and again while records are forwarded.
func TestRepeatedCutsLoseNothing(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	r := newEdge(t, "rim-1", c.addr())
	r.some(0, 150)
	r.forward()
	for range 3 {
		before := r.link().Streams[0].Sent
		natstest.Eventually(t, "something to be forwarded", func() bool {
			l := r.link()
			return l.Streams[0].Sent > before || l.Streams[0].Behind == 0
		})
		c.set(true)
		natstest.Eventually(t, "the cut to be noticed", func() bool {
			l := r.link()
			return !l.Up || l.Streams[0].Behind == 0
		})
		c.set(false)
	}
	r.drained()
	holdsAll(t, hub, 150)
}
