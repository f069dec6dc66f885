package submit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/job"
	"receiver/internal/submit"
)

// The platform has taken the job; that the store is away for a moment must not lose it.
func TestASubmittedEventIsRecordedLater(t *testing.T) {
	other, gone := errors.New("another fault"), errors.New("the store is away")
	for _, tt := range []struct {
		name  string
		away  time.Duration // the store
		then  error
		leave time.Duration // when the submitter leaves, if at all
		want  error
	}{
		{name: "there"},
		{name: "away for a moment", away: 30 * time.Second},
		{name: "away for good", away: time.Hour, want: gone},
		{name: "a fault that stays", then: other, want: other},
		{name: "nobody waits any more", away: 30 * time.Second, leave: 10 * time.Second, want: gone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.leave > 0 {
					defer time.AfterFunc(tt.leave, cancel).Stop()
				}
				began := time.Now()
				stored, err := submit.Record(ctx, func(ctx context.Context, e job.Event) (job.Stored, error) {
					switch {
					case ctx.Err() != nil:
						t.Error("published with a context that has ended")
					case time.Since(began) < tt.away:
						return job.Stored{}, gone
					}
					return job.Stored{Event: e, Sequence: 1}, tt.then
				}, gone, job.Event{Kind: job.Submitted})
				if !errors.Is(err, tt.want) || err == nil && stored.Sequence != 1 {
					t.Errorf("Record = %+v, %v, want %v", stored, err, tt.want)
				}
				if took := time.Since(began); took > 65*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
