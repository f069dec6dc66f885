package callback_test

import (
	"fmt"
	"testing"
	"time"

	"receiver/internal/callback"
)

// Whoever makes up failing deliveries, by whatever rhythm, hides none of the platform's: not
// one that begins to fail afterwards, and not one that fails meanwhile.
func TestAFloodHidesNoFailingDelivery(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		flood func(p *callback.Patience, at time.Time) // a quarter of a second before each attempt, and after it
	}{
		{"nothing", func(*callback.Patience, time.Time) {}},
		{"each body once", func(p *callback.Patience, at time.Time) {
			for i := range 4000 {
				p.Failed("crm", fmt.Append(nil, at, i), "mismatch", at)
			}
		}},
		{"each body six times at once", func(p *callback.Patience, at time.Time) {
			for i := range 6 * callback.MaxFailing {
				p.Failed("crm", fmt.Append(nil, i%callback.MaxFailing), "mismatch", at)
			}
		}},
		{"bodies by the platform's spacing", func(p *callback.Patience, at time.Time) {
			for i := range 4 * callback.MaxFailing {
				p.Failed("crm", fmt.Append(nil, i), "mismatch", at)
			}
		}},
		{"at sources that there are not", func(p *callback.Patience, at time.Time) {
			for i := range 4000 {
				p.Ignored("erp", fmt.Append(nil, at, i), "unknown_source", at)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := callback.NewPatience()
			at := start
			for n := range 1 + len(callback.Spacing()) {
				tt.flood(p, at.Add(-time.Second/4))
				p.Failed("crm", []byte("the platform's"), "mismatch", at)
				tt.flood(p, at.Add(time.Second/4))
				left := len(callback.Spacing()) - n
				got := p.Standing("crm", at.Add(time.Second/2))
				if got.AttemptsLeft != left && n > 0 || got.Failing > callback.MaxFailing || got.GivenUp > callback.MaxGivenUp {
					t.Errorf("after attempt %d: %+v, want %d attempts left", n+1, got, left)
				}
				if left == 0 {
					if got.GivenUp == 0 {
						t.Errorf("after the last attempt: %+v, want it given up", got)
					}
					break
				}
				at = at.Add(callback.Spacing()[n])
			}
			// And afterwards a new one is told as ever.
			at = at.Add(callback.GivenUpKept + time.Hour)
			p.Failed("crm", []byte("another"), "mismatch", at)
			p.Failed("crm", []byte("another"), "mismatch", at.Add(8*time.Second))
			got := p.Standing("crm", at.Add(9*time.Second))
			if got.Failing != 1 || got.AttemptsLeft != 4 || got.GivenUp != 0 {
				t.Errorf("long after: %+v, want one failing and 4 attempts left", got)
			}
		})
	}
}

// What is ignored counts for no source, and takes as many allocations as what is not.
func TestIgnoredWorkIsTheSame(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := callback.NewPatience()
	body := make([]byte, 100)
	measure := func(note func(string, []byte, string, time.Time)) float64 {
		i := 0
		return testing.AllocsPerRun(2000, func() {
			i++
			now = now.Add(time.Millisecond)
			copy(body, fmt.Sprint(i)) // some of the allocations
			note("crm", body, "mismatch", now)
		})
	}
	ignored := measure(p.Ignored)
	if got := p.Standing("crm", now); got != (callback.Standing{AttemptsLeft: 5}) {
		t.Errorf("Standing = %+v after what is ignored", got)
	}
	if failed := measure(p.Failed); failed != ignored {
		t.Errorf("%v allocations for what counts, %v for what is ignored", failed, ignored)
	}
}
