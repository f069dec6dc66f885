package publish_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// A body that is lost at the edge costs itself, and not what comes after it, whatever is left
// of it.
func TestALostBodyHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lose func(ctx context.Context, b *publish.Bus) error
	}{
		{"all of it", publish.LoseBodies},
		{"the bucket", publish.LoseBucket},
		{"its chunks", func(ctx context.Context, b *publish.Bus) error { return publish.LoseChunks(ctx, b, 0) }},
		{"all chunks but the last", func(ctx context.Context, b *publish.Bus) error { return publish.LoseChunks(ctx, b, 1) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, b := newHub(t)
			r := newRim(t, "rim-1", hub.leaves())
			store(t, b, called(job.Finished, "known", "COMPLETED"))
			for _, id := range []string{"known", "new"} {
				large := called(job.Finished, id, "COMPLETED")
				large.Data = append(large.Data, strings.Repeat(" ", 9<<20)...)
				store(t, r.Bus, large)
			}
			store(t, r.Bus, called(job.Finished, "after", "COMPLETED"))
			if err := tt.lose(t.Context(), r.Bus); err != nil {
				t.Fatal(err)
			}
			r.forward()
			r.drained()
			if got := hub.holds(publish.JobsStream, "jobs.demo.*.finished"); got != 3 {
				t.Errorf("the hub holds %d events, want 3", got)
			}
			if got := hub.holds(publish.AttemptsStream, ">"); got != 0 {
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
			if n := count(t, r.Bus, publish.JobsStream); n != 0 {
				t.Errorf("%d events stay, want none", n)
			}
		})
	}
}
