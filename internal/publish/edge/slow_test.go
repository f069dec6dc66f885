package edge_test

import (
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// A body whose transfer takes longer than the timeout of an answer is sent once and stored once.
func TestLargeBodyOnASlowLinkIsSentOnce(t *testing.T) {
	t.Parallel()
	hub, _ := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	c.pace.Store(400 << 10)
	r := newEdge(t, "rim-1", c.addr())
	r.timeout = 250 * time.Millisecond
	natstest.Store(t, r.Store, natstest.Called(job.Finished, "before", "COMPLETED"))
	const size = 800 << 10
	natstest.Store(t, r.Store, natstest.Sized(job.Finished, "large", size))
	natstest.Store(t, r.Store, natstest.Called(job.Finished, "after", "COMPLETED"))
	r.forward()
	r.drained()
	if n := hub.Holds(conn.JobsStream, "jobs.demo.*.finished"); n != 3 {
		t.Errorf("the hub holds %d events, want 3", n)
	}
	if n := c.sent.Load(); n > size*3/2 {
		t.Errorf("%d bytes went to the hub, want the %d of the body once", n, size)
	}
}

// The link is cut when a part of a body is in the object store. The transfer continues from there.
func TestTransferOfALargeBodyIsResumed(t *testing.T) {
	t.Parallel()
	hub, b := natstest.NewHub(t)
	c := newCable(t, hub.Leaves())
	c.pace.Store(4 << 20)
	r := newEdge(t, "rim-1", c.addr())
	r.timeout = 500 * time.Millisecond
	const size = 2 << 20
	natstest.Store(t, r.Store, natstest.Sized(job.Finished, "large", size))
	r.forward()
	natstest.Eventually(t, "most of the body to be at the hub", func() bool { return c.sent.Load() > size*3/4 })
	c.set(true)
	c.set(false)
	natstest.Eventually(t, "the cut to be noticed", func() bool { return !r.link().Up })
	r.drained()
	got, err := b.Job(t.Context(), "demo", "large")
	if err != nil || len(got) != 1 || len(got[0].Data) < size {
		t.Errorf("the hub has %d events, %v, want one with its body", len(got), err)
	}
	if n := c.sent.Load(); n > size*3/2 {
		t.Errorf("%d bytes went to the hub, want little more than the %d of the body", n, size)
	}
}
