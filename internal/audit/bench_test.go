package audit_test

import (
	"testing"

	"receiver/internal/audit/audittest"
)

const benchRecords = 1_000_000

// BenchmarkSeal seals 1,000,000 records of about 330 bytes of leaf, from memory to memory.
func BenchmarkSeal(b *testing.B) {
	w := audittest.NewWorld(b, benchRecords)
	for b.Loop() {
		w.Store, w.Checkpoints = &audittest.Storage{}, &audittest.Checkpoints{}
		w.Log = w.OpenLog(b, w.Store, w.Checkpoints)
		w.Seal(b)
	}
	b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkSealOne seals one record at a time into a log of many.
func BenchmarkSealOne(b *testing.B) {
	w := audittest.NewWorld(b, 100_000)
	s := w.Sealer(b)
	for b.Loop() {
		w.Stream.Add(1)
		if _, err := s.Seal(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLeafHash hashes one small record.
func BenchmarkLeafHash(b *testing.B) {
	r := audittest.Record(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LeafHash(); err != nil {
			b.Fatal(err)
		}
	}
}
