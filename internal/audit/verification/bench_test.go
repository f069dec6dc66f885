package verification_test

import (
	"testing"

	"receiver/internal/audit/audittest"
	"receiver/internal/audit/verification"
)

const benchRecords = 1_000_000

// BenchmarkVerify verifies a log of 1,000,000 records of about 330 bytes of leaf, in memory.
func BenchmarkVerify(b *testing.B) {
	w := audittest.NewWorld(b, benchRecords)
	w.Seal(b)
	for b.Loop() {
		if r := w.Verify(b, verification.Options{}); !r.OK() {
			b.Fatal(r.Faults)
		}
	}
	b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
