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
