package evidence

import (
	"strings"
	"testing"

	"receiver/api"
	"receiver/internal/publish"
)

// Nothing tells a limit from another client that empties a stream, so neither is blamed alone.
func TestNobodyIsBlamedForWhatIsGone(t *testing.T) {
	t.Parallel()
	l := api.Log{}
	l.Checkpoint.Size = 2
	for _, n := range notCovered(l, publish.Extent{First: 3, Last: 2}, api.Verification{}) {
		if n.What == "removed" && n.Records == 2 && strings.Contains(n.Detail, "2 records removed, by limits or by another client") {
			return
		}
	}
	t.Error("two removed records are not listed, or are blamed on somebody")
}
