//go:build e2e

package publish_test

import (
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// Signs of life come late behind a large body, and the line is not closed for it.
func TestLargeBodiesOnASlowLineLong(t *testing.T) {
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
			hub, _ := newHub(t)
			c := newCable(t, hub.leaves())
			c.pace.Store(int64(tt.pace))
			r := newRim(t, "rim-1", c.addr())
			r.timeout = 0
			store(t, r.Bus, called(job.Finished, "before", "COMPLETED"))
			store(t, r.Bus, sized(job.Finished, "large", tt.size))
			store(t, r.Bus, called(job.Finished, "after", "COMPLETED"))
			began := time.Now()
			r.forward()
			deadline := time.After(time.Minute)
			for hub.holds(publish.JobsStream, "jobs.demo.after.finished") == 0 {
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
