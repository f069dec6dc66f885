package audit_test

import (
	"path/filepath"
	"testing"

	"receiver/internal/audit"
)

const benchRecords = 1_000_000

// BenchmarkSeal seals 1,000,000 records of about 330 bytes of leaf, from memory to memory.
func BenchmarkSeal(b *testing.B) {
	w := newWorld(b, benchRecords)
	for b.Loop() {
		w.store, w.cps = &memStorage{}, &memCheckpoints{}
		w.log = w.openLog(b, w.store, w.cps)
		w.seal(b)
	}
	b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkVerify verifies the same log.
func BenchmarkVerify(b *testing.B) {
	w := newWorld(b, benchRecords)
	w.seal(b)
	for b.Loop() {
		if r := w.verify(b, audit.VerifyOptions{}); !r.OK() {
			b.Fatal(r.Faults)
		}
	}
	b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkVerifyFolder verifies an export of it on disk.
func BenchmarkVerifyFolder(b *testing.B) {
	w := newWorld(b, benchRecords)
	w.seal(b)
	dir := filepath.Join(b.TempDir(), "export")
	if err := w.log.Export(b.Context(), dir, audit.ExportOptions{}); err != nil {
		b.Fatal(err)
	}
	w.stream, w.store = nil, nil
	for b.Loop() {
		if r := verifyFolder(b, dir); !r.OK() {
			b.Fatal(r.Faults)
		}
	}
	b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkSealOne seals one record at a time into a log of many.
func BenchmarkSealOne(b *testing.B) {
	w := newWorld(b, 100_000)
	s := w.sealer(b)
	for b.Loop() {
		w.stream.add(1)
		if _, err := s.Seal(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLeafHash hashes one small record.
func BenchmarkLeafHash(b *testing.B) {
	r := testRecord(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LeafHash(); err != nil {
			b.Fatal(err)
		}
	}
}
