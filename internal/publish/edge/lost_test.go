package edge_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// A body that is lost at the edge, wholly or in part, does not block the records behind it.
func TestLostBodyDoesNotBlockForwarding(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lose func(ctx context.Context, b *publish.Store) error
	}{
		{"all of it", natstest.LoseBodies},
		{"the bucket", natstest.LoseBucket},
		{"its chunks", func(ctx context.Context, b *publish.Store) error { return natstest.LoseChunks(ctx, b, 0) }},
		{"all chunks but the last", func(ctx context.Context, b *publish.Store) error { return natstest.LoseChunks(ctx, b, 1) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, b := natstest.NewHub(t)
			r := newEdge(t, "rim-1", hub.Leaves())
			natstest.Store(t, b, natstest.Called(job.Finished, "known", "COMPLETED"))
			for _, id := range []string{"known", "new"} {
				large := natstest.Called(job.Finished, id, "COMPLETED")
				large.Data = append(large.Data, strings.Repeat(" ", 9<<20)...)
				natstest.Store(t, r.Store, large)
			}
			natstest.Store(t, r.Store, natstest.Called(job.Finished, "after", "COMPLETED"))
			if err := tt.lose(t.Context(), r.Store); err != nil {
				t.Fatal(err)
			}
			r.forward()
			r.drained()
			if got := hub.Holds(conn.JobsStream, "jobs.demo.*.finished"); got != 3 {
				t.Errorf("the hub holds %d events, want 3", got)
			}
			if got := hub.Holds(conn.AttemptsStream, ">"); got != 0 {
				t.Errorf("the hub holds %d attempts, want none without a body", got)
			}
			for _, record := range []string{"JOBS/1", "JOBS/2"} {
				if !strings.Contains(r.logs.String(), record) {
					t.Errorf("the log does not tell of %s", record)
				}
			}
			if err := r.f.Expire(t.Context(), time.Now().Add(time.Hour)); err != nil {
				t.Errorf("Expire = %v, want nil: the hub has all there is", err)
			}
			if n := natstest.Count(t, r.Store, conn.JobsStream); n != 0 {
				t.Errorf("%d events stay, want none", n)
			}
		})
	}
}
