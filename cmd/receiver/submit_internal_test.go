package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// The platform has taken the job; that the store is away for a moment must not lose it.
func TestASubmittedEventIsInsistedOn(t *testing.T) {
	other := errors.New("another fault")
	for _, tt := range []struct {
		name  string
		away  time.Duration // the store
		then  error
		leave time.Duration // whoever submits, if at all
		want  error
	}{
		{name: "there"},
		{name: "away for a moment", away: 30 * time.Second},
		{name: "away for good", away: time.Hour, want: publish.ErrUnavailable},
		{name: "a fault that stays", then: other, want: other},
		{name: "nobody waits any more", away: 30 * time.Second, leave: 10 * time.Second, want: publish.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.leave > 0 {
					defer time.AfterFunc(tt.leave, cancel).Stop()
				}
				began := time.Now()
				stored, err := insist(ctx, func(ctx context.Context, e job.Event) (job.Stored, error) {
					switch {
					case ctx.Err() != nil:
						t.Error("published with a context that has ended")
					case time.Since(began) < tt.away:
						return job.Stored{}, publish.ErrUnavailable
					}
					return job.Stored{Event: e, Sequence: 1}, tt.then
				}, job.Event{Kind: job.Submitted})
				if !errors.Is(err, tt.want) || err == nil && stored.Sequence != 1 {
					t.Errorf("insist = %+v, %v, want %v", stored, err, tt.want)
				}
				if took := time.Since(began); took > insistence+5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
