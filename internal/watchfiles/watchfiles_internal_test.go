package watchfiles

import (
	"os"
	"path/filepath"
	"testing"
)

// A configuration names its files in any order.
func TestDigestOfAnyOrder(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, f := range []string{a, b} {
		if err := os.WriteFile(f, []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if digestOf([]string{a, b}) != digestOf([]string{b, a}) {
		t.Error("two orders of the same files have two digests")
	}
}
