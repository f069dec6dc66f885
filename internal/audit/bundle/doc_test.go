package bundle_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
)

func page(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The bundle that docs/evidence.md shows is a real one, of the third of three records, and
// passes with the key that the page shows.
func TestThePagesBundlePasses(t *testing.T) {
	_, rest, _ := strings.Cut(page(t), "```json\n")
	shown, _, _ := strings.Cut(rest, "```")
	key := regexp.MustCompile(`receiver/test/JOBS\+[0-9a-f]{8}\+[0-9A-Za-z+/]+`).FindString(page(t))
	keys, err := audit.ParseKeys([]string{key}, nil)
	if err != nil {
		t.Fatalf("key %q: %v", key, err)
	}
	b, err := bundle.Parse([]byte(shown))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := b.Check(keys, nil); err != nil || c.Checkpoint.Tree.N != 3 {
		t.Errorf("Check: %d leaves, %v, want 3", c.Checkpoint.Tree.N, err)
	}

	w := audittest.NewWorld(t, 3)
	w.Seal(t)
	again, err := w.Log.Prove(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := bundle.Encode(again); shown != string(want) {
		t.Errorf("the page shows\n%s\nwant\n%s", shown, want)
	}
}
