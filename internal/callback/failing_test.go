package callback_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"receiver/internal/callback"
)

// Invented failing deliveries, in any rhythm, hide none of the platform's: neither one that begins
// to fail afterwards, nor one that fails at the same time.
func TestAFloodHidesNoFailingDelivery(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		flood func(p *callback.RetryState, at time.Time) // a quarter of a second before each attempt, and after it
	}{
		{"nothing", func(*callback.RetryState, time.Time) {}},
		{"each body once", func(p *callback.RetryState, at time.Time) {
			for i := range 4000 {
				p.Failed("crm", fmt.Append(nil, at, i), "mismatch", at)
			}
		}},
		{"each body six times at once", func(p *callback.RetryState, at time.Time) {
			for i := range 6 * callback.MaxFailing {
				p.Failed("crm", fmt.Append(nil, i%callback.MaxFailing), "mismatch", at)
			}
		}},
		{"bodies by the platform's spacing", func(p *callback.RetryState, at time.Time) {
			for i := range 4 * callback.MaxFailing {
				p.Failed("crm", fmt.Append(nil, i), "mismatch", at)
			}
		}},
		{"at sources that there are not", func(p *callback.RetryState, at time.Time) {
			for i := range 4000 {
				p.Ignored("erp", fmt.Append(nil, at, i), "unknown_source", at)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := callback.NewRetryState()
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
			// Afterwards a new one is reported as usual.
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

// The memory that failing deliveries take is bounded, and little before there is a flood of them.
func TestAFloodOfFailingDeliveriesTakesLittleMemory(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for deliveries, most := range map[int]int{8: 64 << 10, 2000: 6 << 20} {
		before := heap()
		p := callback.NewRetryState()
		for again := range 32 {
			for i := range deliveries {
				p.Failed("crm", []byte{byte(i), byte(i >> 8)}, "mismatch", at.Add(time.Duration(again)*2*time.Second))
			}
		}
		if took := heap() - before; took > most {
			t.Errorf("%d failing deliveries take %d bytes, want at most %d", deliveries, took, most)
		}
		runtime.KeepAlive(p)
	}
}

// heap returns the bytes in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc) // #nosec G115 -- far below its maximum
}

// Of many deliveries that fail once each, most have places.
func TestManyFailingDeliveriesAreCounted(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := callback.NewRetryState()
	for i := range callback.MaxFailing {
		p.Failed("crm", fmt.Append(nil, i), "mismatch", at)
	}
	if got := p.Standing("crm", at).Failing; got <= callback.MaxFailing/2 {
		t.Errorf("%d of %d deliveries have places, want more than half", got, callback.MaxFailing)
	}
}

// A delivery that is not stored exactly is known by its hash when it comes again, and no other is
// taken for it.
func TestTraces(t *testing.T) {
	first := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		again string
		n     int // deliveries that come
		after time.Duration
		left  int
	}{
		{"in time", "the platform's ", 1, 8 * time.Second, 4},
		{"early", "the platform's ", 1, 6500 * time.Millisecond, 4},
		{"too early", "the platform's ", 1, 3 * time.Second, 5},
		{"too late", "the platform's ", 1, 24 * time.Second, 5},
		{"others", "new ", 5000, 8 * time.Second, 5},
	} {
		p := callback.NewRetryState()
		for i := range 2000 {
			p.Failed("crm", fmt.Append(nil, i), "mismatch", first)
		}
		p.Failed("crm", []byte("the platform's 0"), "mismatch", first)
		for i := range tt.n {
			p.Failed("crm", fmt.Append(nil, tt.again, i), "mismatch", first.Add(tt.after))
		}
		if got := p.Standing("crm", first.Add(tt.after)).AttemptsLeft; got != tt.left {
			t.Errorf("%s: %d attempts left, want %d", tt.name, got, tt.left)
		}
	}
}

// The hashes of deliveries that come later take none from one that came before. A hash lies at
// random, so this is tried several times.
func TestNoTraceIsLost(t *testing.T) {
	first := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for range 10 {
		p := callback.NewRetryState()
		for i := range 3000 {
			p.Failed("crm", fmt.Append(nil, i), "mismatch", first)
			if i == 1000 { // all places are taken
				p.Failed("crm", []byte("the platform's"), "mismatch", first)
			}
		}
		again := first.Add(8 * time.Second)
		p.Failed("crm", []byte("the platform's"), "mismatch", again)
		if got := p.Standing("crm", again).AttemptsLeft; got != 4 {
			t.Fatalf("%d attempts left, want 4", got)
		}
	}
}

// Deliveries that have not come more often do not replace one, so it is known when it comes later
// than a hash is kept for.
func TestADeliveryKeepsItsPlace(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := callback.NewRetryState()
	p.Failed("crm", []byte("the platform's"), "mismatch", at)
	for i := range 2000 {
		p.Failed("crm", fmt.Append(nil, i), "mismatch", at)
	}
	p.Failed("crm", []byte("the platform's"), "mismatch", at.Add(time.Minute))
	if got := p.Standing("crm", at.Add(time.Minute)).AttemptsLeft; got != 4 {
		t.Errorf("%d attempts left, want 4", got)
	}
}

// So many deliveries that the platform has given up are known, and not one more.
func TestMostGivenUp(t *testing.T) {
	const group = 8 // so many have places for certain
	for _, groups := range []int{callback.MaxGivenUp / group, callback.MaxGivenUp/group + 1} {
		at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		p := callback.NewRetryState()
		for g := range groups {
			for _, pause := range append(callback.Spacing(), 0) {
				for i := range group {
					p.Failed("crm", fmt.Append(nil, g, i), "mismatch", at)
				}
				at = at.Add(pause)
			}
		}
		if got := p.Standing("crm", at).GivenUp; got != callback.MaxGivenUp {
			t.Errorf("GivenUp = %d of %d, want %d", got, groups*group, callback.MaxGivenUp)
		}
	}
}

// An ignored delivery counts for no source, and takes as many allocations as others.
func TestIgnoredWorkIsTheSame(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := callback.NewRetryState()
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
