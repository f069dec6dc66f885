package archiving

import (
	"fmt"
	"testing"
	"time"

	"receiver/internal/auditlog"
	"receiver/internal/publish"
	"receiver/internal/service/records"
)

// TestWhichRecordIsTheOldestUnarchived holds that exports of any order and overlap count, and that
// a gap between them does not.
func TestWhichRecordIsTheOldestUnarchived(t *testing.T) {
	for _, tt := range []struct {
		name    string
		exports [][2]uint64
		first   uint64 // of the stream
		want    uint64
	}{
		{"none", nil, 5, 5},
		{"all up to one", [][2]uint64{{1, 9}}, 5, 10},
		{"one after the other", [][2]uint64{{1, 9}, {10, 20}, {21, 21}}, 1, 22},
		{"in another order", [][2]uint64{{10, 20}, {1, 9}}, 1, 21},
		{"overlapping", [][2]uint64{{1, 9}, {5, 20}, {3, 12}}, 1, 21},
		{"a gap", [][2]uint64{{1, 9}, {12, 20}}, 1, 10},
		{"a gap that was filled", [][2]uint64{{1, 9}, {12, 20}, {10, 11}}, 1, 21},
		{"a gap whose records are gone", [][2]uint64{{1, 9}, {12, 20}}, 12, 21},
		{"not the oldest", [][2]uint64{{3, 9}}, 1, 1},
		{"empty, and from elsewhere", [][2]uint64{{9, 8}, {1, 1<<64 - 1}}, 1, 1},
	} {
		h := newHistory()
		for i, e := range tt.exports {
			h.take(uint64(i)+1, time.Now(), Details{Logs: []records.Exported{{Origin: "receiver/test/JOBS", From: e[0], To: e[1]}}})
		}
		if got := h.unarchived("JOBS", tt.first); got != tt.want {
			t.Errorf("%s: unarchived = %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestWhenAnUnarchivedRecordIsDue holds how long before its removal a record is warned of.
func TestWhenAnUnarchivedRecordIsDue(t *testing.T) {
	const day, gib = 24 * time.Hour, 1 << 30
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	full := publish.Extent{First: 1001, Last: 2000, Bytes: gib - 1}
	for _, tt := range []struct {
		name   string
		age    time.Duration // of the record; 0 for none
		seq    uint64
		limits auditlog.Limits
		extent publish.Extent
		want   bool
	}{
		{"young", 80 * day, 1, auditlog.Limits{MaxAge: 90 * day}, publish.Extent{}, false},
		{"a tenth of the age is left", 81*day + time.Second, 1, auditlog.Limits{MaxAge: 90 * day}, publish.Extent{}, true},
		{"of a week, a day is left", 6*day + time.Second, 1, auditlog.Limits{MaxAge: 7 * day}, publish.Extent{}, true},
		{"of a week, more than a day is left", 6*day - time.Second, 1, auditlog.Limits{MaxAge: 7 * day}, publish.Extent{}, false},
		{"of an hour, more than half is left", 29 * time.Minute, 1, auditlog.Limits{MaxAge: time.Hour}, publish.Extent{}, false},
		{"of an hour, half is left", 31 * time.Minute, 1, auditlog.Limits{MaxAge: time.Hour}, publish.Extent{}, true},
		{"every record is in an archive", 0, 1, auditlog.Limits{MaxAge: time.Hour, MaxBytes: gib}, full, false},
		{"no limits", 900 * day, 1001, auditlog.Limits{}, full, false},
		{"full, and the oldest", day, 1001, auditlog.Limits{MaxBytes: gib}, full, true},
		{"full, and a twentieth is before it", day, 1051, auditlog.Limits{MaxBytes: gib}, full, true},
		{"full, and a fifth is before it", day, 1201, auditlog.Limits{MaxBytes: gib}, full, false},
		{"space is left", day, 1001, auditlog.Limits{MaxBytes: gib}, publish.Extent{First: 1001, Last: 2000, Bytes: gib / 2}, false},
	} {
		u := Unarchived{Stream: "ATTEMPTS", Sequence: tt.seq}
		if tt.age > 0 {
			u.Stored = now.Add(-tt.age)
		}
		if u.judge(tt.limits, tt.extent, now); u.Due != tt.want {
			t.Errorf("%s: due %v, want %v", tt.name, u.Due, tt.want)
		}
		if want := tt.age > 0 && tt.limits.MaxAge > 0; u.Ends.IsZero() == want {
			t.Errorf("%s: ends %s", tt.name, fmt.Sprint(u.Ends))
		}
	}
}
