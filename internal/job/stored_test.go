package job_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"receiver/internal/job"
)

// The first outcome of a job stays, and another one is stored as a conflict.
func TestAnotherEndIsAConflict(t *testing.T) {
	const completed, aborted = `{"id":"1","status":"COMPLETED"}`, `{"id":"1","status":"ABORTED"}`
	down := errors.New("down")
	for _, tt := range []struct {
		name   string
		kind   job.Kind
		there  string // empty: nothing
		err    error
		stored []job.Kind // what is given to the store
	}{
		{"nothing is there", job.Finished, "", nil, []job.Kind{job.Finished}},
		{"the same end is there", job.Finished, completed, nil, []job.Kind{job.Finished}},
		{"another end is there", job.Finished, aborted, nil, []job.Kind{job.Finished, job.Conflict}},
		{"the store fails", job.Finished, "", down, []job.Kind{job.Finished}},
		{"the store fails on another end", job.Finished, aborted, down, []job.Kind{job.Finished}},
		{"no end", job.Progress, aborted, nil, []job.Kind{job.Progress}},
	} {
		var stored []job.Kind
		publish := func(_ context.Context, e job.Event) (job.Stored, error) {
			stored = append(stored, e.Kind)
			s := job.Stored{Event: e}
			if tt.there != "" {
				s.Job, s.Existed = read(t, tt.there), true
			}
			return s, tt.err
		}
		_, err := job.PublishResolvingConflict(t.Context(), publish, job.Event{Kind: tt.kind, Source: "demo", Job: read(t, completed)})
		if !errors.Is(err, tt.err) || !slices.Equal(stored, tt.stored) {
			t.Errorf("%s: PublishResolvingConflict stores %q, %v, want %q, %v", tt.name, stored, err, tt.stored, tt.err)
		}
	}
}
