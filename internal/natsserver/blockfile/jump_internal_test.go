package blockfile

import (
	"os"
	"slices"
	"testing"
	"time"
)

// A walk finds the sequences that the damage check accepts, and no others: what it missed would be
// reported as lost.
func TestAWalkAllowsTheLargestJump(t *testing.T) {
	const far = 1 + 1<<25
	for _, tt := range []struct {
		name string
		jump uint64
		last uint64
	}{
		{"a stream whose old messages stay", 1 << 28, far},
		{"any other", 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Folder{Path: t.TempDir(), Stream: "S", LargestJump: tt.jump}
			var records [][]byte
			for _, seq := range []uint64{1, far} {
				r, err := f.removal(1, seq, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, r)
			}
			if err := os.WriteFile(f.File(1), slices.Concat(records...), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := f.Walk(false)
			_, damage, failed := f.Sound(1)
			if err != nil || failed != nil || got.Last != tt.last || (len(damage) == 0) != (tt.last == far) {
				t.Errorf("Walk ends at %d (%v) and Sound finds %v (%v), want the end %d", got.Last, err, damage, failed, tt.last)
			}
		})
	}
}
