package audit_test

import (
	"os"
	"strings"
	"testing"

	"receiver/internal/audit"
)

func page(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every kind of fault is explained on the page.
func TestThePageExplainsEveryFault(t *testing.T) {
	kinds := []audit.Kind{
		audit.Changed, audit.Missing, audit.Extra, audit.Reordered, audit.Unsealed, audit.BadHMAC, audit.Unreadable,
		audit.BadTile, audit.BadNote, audit.RolledBack, audit.Forked, audit.BadRoot,
	}
	for _, kind := range kinds {
		if !strings.Contains(page(t), "| `"+string(kind)+"` |") {
			t.Errorf("docs/evidence.md does not explain %q", kind)
		}
	}
}
