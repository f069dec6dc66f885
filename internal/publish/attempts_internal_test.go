package publish

import (
	"testing"

	"receiver/internal/job"
)

// Bodies of refused callbacks are kept up to limits.attempt_body. The bytes of one batch are
// limited as well, because callbacks use the same connection.
func TestBatchOfAttemptsIsLimitedInBytes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, want int }{{0, AttemptsAtOnce}, {64 << 10, AttemptsAtOnce}, {1 << 20, 4}, {8 << 20, 1}} {
		q := &attemptQueue{waiting: make(chan job.Attempt, 2*AttemptsAtOnce)}
		attempt := job.Attempt{Body: make([]byte, tt.body)}
		for range cap(q.waiting) {
			q.waiting <- attempt
		}
		if got := len(q.addWaiting([]job.Attempt{<-q.waiting})); got != tt.want {
			t.Errorf("%d attempts with bodies of %d bytes at once, want %d", got, tt.body, tt.want)
		}
	}
}

// The queue of attempts is limited in bytes, too. Stored attempts free their bytes.
func TestQueueOfAttemptsIsLimitedInBytes(t *testing.T) {
	t.Parallel()
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
