package audit_test

import (
	"errors"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/tile"
)

// The root of every size that a log had is found from its newest tree; of tiles that do not make it
// up, none is.
func TestTheRootsThatALogHad(t *testing.T) {
	t.Parallel()
	const records = 600 // more than two tiles
	w := audittest.NewWorld(t, records)
	cp := w.Seal(t)
	want := audittest.WantTrees(t, w.Stream, 1, records)
	root := w.Log.Roots(t.Context(), cp.Tree)
	for size := range int64(records + 1) {
		if got, err := root(size); err != nil || got != want(size).Hash {
			t.Fatalf("the root at size %d is %v, %v, want %v", size, got, err, want(size).Hash)
		}
	}
	other := cp.Tree
	other.Hash[0] ^= 1
	if got, err := w.Log.Roots(t.Context(), other)(300); !errors.Is(err, audit.ErrTile) {
		t.Errorf("of another tree of %d leaves the root is %v, %v, want ErrTile", tile.Width, got, err)
	}
}
