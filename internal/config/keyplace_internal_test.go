package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeyLines(t *testing.T) {
	const block = `sources:
  crm:
    base_url: https://example.com
    element_token: e
    signature_keys:
      - name: old
        value: a
      - name: new
        value: b
        not_after: 2026-01-01T00:00:00Z
`
	for _, tt := range []struct {
		name, text string
		index      int
		from, to   int
		ok         bool
	}{
		{"a block", block, 1, 8, 10, true},
		{"the first", block, 0, 6, 7, true},
		{"in one line", "sources: {crm: {signature_keys: [{value: a}, {value: b}]}}", 1, 1, 1, true},
		{"a text over lines", "sources:\n crm:\n  signature_keys:\n   - value: |\n      a\n      b\n", 0, 4, 6, true},
		{"beyond the list", block, 2, 0, 0, false},
		{"no list", "sources: {crm: {signature_keys: x}}", 0, 0, 0, false},
		{"no source", "sources: {}", 0, 0, 0, false},
		{"empty", "", 0, 0, 0, false},
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if from, to, ok := keyLines(file, "crm", tt.index); from != tt.from || to != tt.to || ok != tt.ok {
			t.Errorf("%s: keyLines = %d, %d, %v, want %d, %d, %v", tt.name, from, to, ok, tt.from, tt.to, tt.ok)
		}
	}
}
