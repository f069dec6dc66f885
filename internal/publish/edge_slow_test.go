package publish_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// sized is a callback's event with a body of about that size, which nothing makes smaller.
func sized(k job.Kind, id string, size int) job.Event {
	e := called(k, id, "COMPLETED")
	text := make([]byte, size/2)
	_, _ = rand.Read(text)
	e.Data = fmt.Appendf(nil, `{"id":%q,"status":"COMPLETED","text":"%x"}`, id, text)
	return e
}

// A body that takes longer than an answer may is sent once, and is there once.
func TestALargeBodyOnASlowLine(t *testing.T) {
	t.Parallel()
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	c.pace.Store(400 << 10)
	r := newRim(t, "rim-1", c.addr())
	r.timeout = 250 * time.Millisecond
	store(t, r.Bus, called(job.Finished, "before", "COMPLETED"))
	const size = 800 << 10
	store(t, r.Bus, sized(job.Finished, "large", size))
	store(t, r.Bus, called(job.Finished, "after", "COMPLETED"))
	r.forward()
	r.drained()
	if n := hub.holds(publish.JobsStream, "jobs.demo.*.finished"); n != 3 {
		t.Errorf("the hub holds %d events, want 3", n)
	}
	if n := c.sent.Load(); n > size*3/2 {
		t.Errorf("%d bytes went to the hub, want the %d of the body once", n, size)
	}
}

// A body that a cut line left half in the object store is gone on with.
func TestALargeBodyOnALineThatIsCut(t *testing.T) {
	t.Parallel()
	hub, b := newHub(t)
	c := newCable(t, hub.leaves())
	c.pace.Store(4 << 20)
	r := newRim(t, "rim-1", c.addr())
	r.timeout = 500 * time.Millisecond
	const size = 2 << 20
	store(t, r.Bus, sized(job.Finished, "large", size))
	r.forward()
	eventually(t, "most of the body to be at the hub", func() bool { return c.sent.Load() > size*3/4 })
	c.set(true)
	c.set(false)
	eventually(t, "the cut to be noticed", func() bool { return !r.line().Up })
	r.drained()
	got, err := b.Job(t.Context(), "demo", "large")
	if err != nil || len(got) != 1 || len(got[0].Data) < size {
		t.Errorf("the hub has %d events, %v, want one with its body", len(got), err)
	}
	if n := c.sent.Load(); n > size*3/2 {
		t.Errorf("%d bytes went to the hub, want little more than the %d of the body", n, size)
	}
}
