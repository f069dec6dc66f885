package audit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
)

// A sealer that begins in the middle knows the time of the last sealed record, and names a gap that
// no limit explains once.
func TestASealerNamesWhatIsOdd(t *testing.T) {
	t.Parallel()
	w := audittest.NewWorld(t, 10)
	w.Seal(t)
	w.Stream.Add(20)
	w.Stream.Change(11, func(r *audit.Record) { r.Time = r.Time.Add(-time.Hour) })
	w.Stream.Remove(15, 16)
	var odd []string
	s := audittest.NewSealer(t, w.Log, audit.SealerOptions{
		Limited: true,
		Odd:     func(f audit.Fault) { odd = append(odd, f.String()) },
		Inspect: func(r audit.Record) error {
			if r.Header["ce-id"] == nil {
				t.Errorf("sequence %d is inspected without its headers", r.Seq)
			}
			if r.Seq == 20 {
				return audit.ErrNotChecked
			}
			return nil
		},
	})
	for range 2 {
		if _, err := s.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"JOBS/11: time", "JOBS/20: time", "JOBS/15: absent"}
	if !slices.EqualFunc(odd, want, strings.HasPrefix) {
		t.Errorf("the sealer names %q, want %q", odd, want)
	}
}
