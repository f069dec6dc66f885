package main

import (
	"testing"
	"time"

	"receiver/internal/config"
	"receiver/internal/publish"
)

// TestOnlyWhatLimitsPushedOutIsNotMissed holds that of each stream as much must be there as
// its limits let stay.
func TestOnlyWhatLimitsPushedOutIsNotMissed(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	whole, few := publish.Extent{First: 1, Bytes: 1 << 29}, publish.Extent{First: 601, Last: 600}
	full, half := publish.Extent{First: 300, Bytes: 1 << 30}, publish.Extent{First: 300, Bytes: 1 << 29}
	for _, tt := range []struct {
		name     string
		stream   string
		extent   publish.Extent
		jobs     time.Duration
		attempts time.Duration
		want     uint64
	}{
		{"events by age", publish.JobsStream, half, 24 * time.Hour, 0, 101},
		{"events that are all young", publish.JobsStream, half, 72 * time.Hour, 0, 1},
		{"events are not pushed out by size", publish.JobsStream, full, 72 * time.Hour, 0, 1},
		{"attempts with room left", publish.AttemptsStream, half, 24 * time.Hour, 0, 1},
		{"attempts by size", publish.AttemptsStream, full, 24 * time.Hour, 0, 300},
		{"attempts by age", publish.AttemptsStream, half, 72 * time.Hour, 24 * time.Hour, 101},
		{"what is there had not to go, nor what is behind it", publish.AttemptsStream, full, 72 * time.Hour, 30 * time.Minute, 300},
		{"events by age, of which none is gone", publish.JobsStream, whole, 24 * time.Hour, 0, 1},
		{"attempts by age, where size would let more stay", publish.AttemptsStream, few, 72 * time.Hour, 30 * time.Minute, 501},
		{"attempts that are all young", publish.AttemptsStream, half, 24 * time.Hour, 72 * time.Hour, 1},
		{"actions stay", publish.ActionsStream, full, time.Hour, time.Hour, 1},
	} {
		cfg := config.Default()
		cfg.NATS.JobsMaxAge, cfg.NATS.AttemptsMaxAge = tt.jobs, tt.attempts
		sealed := []sealedAt{{now.Add(-48 * time.Hour), 100}, {now.Add(-time.Hour), 500}, {now, 600}}
		kept := &keptCheckpoints{times: map[string][]sealedAt{"receiver/receiver/" + tt.stream: sealed}}
		if got := expectedFrom(&cfg, tt.stream, tt.extent, kept, now); got != tt.want {
			t.Errorf("%s: expectedFrom = %d, want %d", tt.name, got, tt.want)
		}
	}
}
