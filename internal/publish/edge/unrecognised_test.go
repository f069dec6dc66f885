package edge_test

import (
	"testing"

	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// An unrecognised body is one event at the hub, whichever edges receive it.
func TestUnrecognisedBodyIsOneEventAtTheHub(t *testing.T) {
	t.Parallel()
	hub, b := natstest.NewHub(t)
	for round, name := range []string{"rim-1", "rim-2"} {
		r := newEdge(t, name, hub.Leaves())
		natstest.Replay(t, r.Store, false)
		r.forward()
		r.drained()
		if n := hub.Holds(conn.JobsStream, "jobs.*.*.unrecognised"); n != 4 {
			t.Errorf("after %s the hub holds %d events, want 4", name, n)
		}
		if n := hub.Holds(conn.AttemptsStream, "attempts.*.duplicate"); n != round*4 {
			t.Errorf("after %s the hub holds %d duplicates, want %d", name, n, round*4)
		}
		hub.Forget(conn.JobsStream)
	}
	natstest.Replay(t, b, true) // a receiver at the hub
}
