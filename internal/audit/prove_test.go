package audit_test

import (
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
)

func TestSealedHashOutlivesTheRecord(t *testing.T) {
	w := audittest.NewWorld(t, 300)
	w.Stream.Remove(7)
	w.Seal(t)
	w.Stream.Remove(5)
	want, err := audittest.Record(5).LeafHash()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.Log.SealedHash(t.Context(), 5); err != nil || got != want {
		t.Errorf("SealedHash(5) = %s, %v, want %s", got, err, want)
	}
	want = tlog.RecordHash(audit.AbsentLeaf("JOBS", 7))
	if got, err := w.Log.SealedHash(t.Context(), 7); err != nil || got != want {
		t.Errorf("SealedHash(7) = %s, %v, want %s", got, err, want)
	}
	for seq, want := range map[uint64]error{0: audit.ErrNoRecord, 301: audit.ErrNotSealed} {
		if _, err := w.Log.SealedHash(t.Context(), seq); !errors.Is(err, want) {
			t.Errorf("SealedHash(%d): error %v, want %v", seq, err, want)
		}
	}
	w.Store.Files["tile/0/000"][4*32] ^= 1
	if _, err := w.Log.SealedHash(t.Context(), 5); !errors.Is(err, audit.ErrTile) {
		t.Errorf("with its tile changed: error %v, want ErrTile", err)
	}
}
