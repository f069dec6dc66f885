package publish

import (
	"testing"

	"receiver/internal/job"
)

// Bodies of refused callbacks are kept as large as limits.attempt_body says. What is sent of
// them at once has a bound all the same, since callbacks go by the same connection.
func TestAttemptsAreGatheredUpToABound(t *testing.T) {
	for _, tt := range []struct{ body, want int }{{0, AttemptsAtOnce}, {64 << 10, AttemptsAtOnce}, {1 << 20, 4}, {8 << 20, 1}} {
		q := &attemptQueue{waiting: make(chan job.Attempt, 2*AttemptsAtOnce)}
		attempt := job.Attempt{Body: make([]byte, tt.body)}
		for range cap(q.waiting) {
			q.waiting <- attempt
		}
		if got := len(q.gather([]job.Attempt{<-q.waiting})); got != tt.want {
			t.Errorf("%d attempts with bodies of %d bytes at once, want %d", got, tt.body, tt.want)
		}
	}
}

// What waits to be recorded has a bound in bytes, too, which is free again when it is stored.
func TestAttemptsWaitUpToABound(t *testing.T) {
	for _, tt := range []struct{ body, want int }{{0, 1024}, {16 << 10, 1024}, {1 << 20, 32}, {8 << 20, 4}} {
		q := &attemptQueue{waiting: make(chan job.Attempt, 1024)}
		body := make([]byte, tt.body)
		got := 0
		for q.offer(func() job.Attempt { return job.Attempt{Body: body} }) {
			got++
		}
		if got != tt.want {
			t.Errorf("%d attempts with bodies of %d bytes wait, want %d", got, tt.body, tt.want)
		}
	}
}
