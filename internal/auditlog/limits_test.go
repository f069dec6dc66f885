package auditlog_test

import (
	"testing"
	"time"

	"receiver/internal/auditlog"
)

// TestOnlyDroppedRecordsMayBeMissing holds that of each stream as much must be there as
// its limits let stay.
func TestOnlyDroppedRecordsMayBeMissing(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	sealedBefore := func(at time.Time) int64 {
		switch {
		case now.Add(-time.Hour).Before(at):
			return 500
		case now.Add(-48 * time.Hour).Before(at):
			return 100
		}
		return 0
	}
	const full, half = 1 << 30, 1 << 29
	for _, tt := range []struct {
		name         string
		first, bytes uint64
		limits       auditlog.Limits
		want         uint64
	}{
		{"by age", 300, half, auditlog.Limits{MaxAge: 24 * time.Hour}, 101},
		{"all young", 300, half, auditlog.Limits{MaxAge: 72 * time.Hour}, 1},
		{"not by size", 300, full, auditlog.Limits{MaxAge: 72 * time.Hour}, 1},
		{"room left", 300, half, auditlog.Limits{MaxBytes: full}, 1},
		{"by size", 300, full, auditlog.Limits{MaxBytes: full}, 300},
		{"by age, where size would let more stay", 300, half, auditlog.Limits{MaxAge: 24 * time.Hour, MaxBytes: full}, 101},
		{"what is there had not to go, nor what is behind it", 300, full, auditlog.Limits{MaxAge: 30 * time.Minute, MaxBytes: full}, 300},
		{"by age, of which none is gone", 1, half, auditlog.Limits{MaxAge: 24 * time.Hour}, 1},
		{"nothing is left", 601, 0, auditlog.Limits{MaxAge: 30 * time.Minute, MaxBytes: full}, 501},
		{"all young, and room left", 300, half, auditlog.Limits{MaxAge: 72 * time.Hour, MaxBytes: full}, 1},
		{"no limits", 300, full, auditlog.Limits{}, 1},
	} {
		if got := tt.limits.ExpectedFrom(tt.first, tt.bytes, sealedBefore, now); got != tt.want {
			t.Errorf("%s: ExpectedFrom = %d, want %d", tt.name, got, tt.want)
		}
	}
}
