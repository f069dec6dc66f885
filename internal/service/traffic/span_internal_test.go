package traffic

import (
	"fmt"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
)

// Other clients of the account can make up sources and verdicts: a minute holds a bounded number
// of counts, none is lost, and minutes end.
func TestTalliesAreBounded(t *testing.T) {
	t.Parallel()
	now, c := time.Now(), newTally()
	header := natstest.Attempt("mismatch").Header().Map()
	for i := range 2000 {
		a, ok := c.read(fmt.Sprintf("attempts.s%d.v%d", i, i), job.LookupIn(header), now.Add(time.Duration(i-2000)*time.Minute))
		if !ok {
			t.Fatal("a refusal is none")
		}
		c.add([]arrival{a, a})
	}
	total := int64(0)
	c.each(0, nil, func(_ int64, _ string, n int64) { total += n })
	if total != 4000 || len(c.named[0]) > mostSources || len(c.named[1]) > mostVerdicts {
		t.Errorf("%d of 4000 counted, %d sources, %d verdicts", total, len(c.named[0]), len(c.named[1]))
	}
	if prune(c.minutes, now); int64(len(c.minutes)) > mostMinutes+61 {
		t.Errorf("%d minutes are held", len(c.minutes))
	}
	if n := c.verdicts.number("mismatch"); n != 0 {
		t.Errorf("a verdict after the last has the number %d", n)
	}
}

// Of a stream with more than the most, the newest are counted, and the counts say where they begin.
func TestSpansAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	e := publish.Extent{First: 1, Last: 5 << 20, Messages: 5 << 20, Bytes: 5 << 30, Created: now}
	s := &span{stream: "JOBS"}
	s.reach(e, now)
	if s.low != e.Last+1 || !s.further() || !s.from().Equal(now) {
		t.Errorf("at first: %+v", s)
	}
	for parts := 0; s.further(); parts++ {
		size := within(e, partMessages, partBytes)
		s.add(part{from: s.low - size, to: s.low - 1, oldest: now.Add(-time.Duration(parts) * time.Second)})
		if parts > mostMessages/partMessages {
			t.Fatal("the reading has no end")
		}
	}
	if got := s.high - s.low; got != mostMessages || !s.from().Equal(s.oldest) || s.oldest.IsZero() {
		t.Errorf("%d are counted, from %v on", got, s.from())
	}
	e.Last += mostGap
	if s.reach(e, now); s.high-s.low != mostMessages {
		t.Error("a gap that can be read was not")
	}
	e.Last++
	if s.reach(e, now); s.low != e.Last+1 {
		t.Error("a gap that is too long is read from its beginning on")
	}
	large := publish.Extent{Messages: 10, Bytes: 10 << 30}
	if within(large, partMessages, partBytes) != 1 || within(publish.Extent{}, partMessages, partBytes) != partMessages {
		t.Error("a part is not bounded by its bytes")
	}
}
