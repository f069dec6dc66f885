package audit_test

import (
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/bundle"
	"receiver/internal/audit/logkey"
	"receiver/internal/growth"
)

// Verified files come from others.
func TestEvidenceGrowsWithItsInput(t *testing.T) {
	shapes := growth.Bytes()
	shapes["signatures"] = growth.Around("a\n1\nAAAA\n\n", "\u2014 a AAAAAAAA\n", "")
	shapes["extensions"] = growth.Around("a\n1\nAAAA\n", "a\n", "\n\u2014 a AAAAAAAA\n")
	growth.Linear(t, 16<<10, shapes, func(s string) {
		_, _ = bundle.Parse([]byte(s))
		_, _ = audit.ReadCheckpoint([]byte(s))
		_, _, _ = audit.ParseLeaf([]byte(s))
		_, _ = audit.ParseKeys([]string{s}, []string{s})
		_, _ = logkey.Parse(s)
		_, _ = audit.NewCosignatureVerifier(s)
	})
}
