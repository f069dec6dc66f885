package traffic_test

import (
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/auditlog"
	"receiver/internal/natstest"
	"receiver/internal/service/records"
)

// BenchmarkTraffic answers for 200,000 callbacks, half of them refused: by reading the records of
// the last three hours for each answer, which is the baseline; first, whole; first, as it is
// answered; and again, when ten callbacks came.
func BenchmarkTraffic(b *testing.B) {
	const all = 200_000
	bus := natstest.Open(b, natstest.Start(b, b.TempDir()))
	natstest.Fill(b, bus, 0, all)
	b.Run("records", func(b *testing.B) {
		for b.Loop() {
			q := records.Query{Since: "3h"}
			if err := q.Parse(time.Now()); err != nil {
				b.Fatal(err)
			}
			n := 0
			for _, err := range records.Entries(b.Context(), bus, records.Query{Filter: auditlog.Filter{Since: q.Filter.Since}}) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n < all {
				b.Fatalf("%d records", n)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			if got := sums(asked(b, started(b, bus, nil), api.GetTrafficParams{})); got["accepted"] < all/2 {
				b.Fatalf("%v", got)
			}
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if _, err := started(b, bus, nil).Traffic(b.Context(), api.GetTrafficParams{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		c := started(b, bus, nil)
		asked(b, c, api.GetTrafficParams{})
		for next := all; b.Loop(); next += 10 {
			b.StopTimer()
			natstest.Fill(b, bus, next, 10)
			b.StartTimer()
			if got, err := c.Traffic(b.Context(), api.GetTrafficParams{}); err != nil || !got.Complete {
				b.Fatal(err, got.Complete)
			}
		}
	})
}
