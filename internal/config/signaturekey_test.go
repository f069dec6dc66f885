package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"receiver/internal/config"
)

// A key that can be guessed is refused under 8 bytes and warned of under 16, counted in what is
// used of it, wherever it comes from.
func TestAShortKeyIsNotForSignatures(t *testing.T) {
	config.KeyLengths(t)
	for _, row := range []struct {
		name, value, file string
		fault, warning    string
	}{
		{"one byte", "x", "", "has only 1 byte:", ""},
		{"seven", "seven77", "", "has only 7 bytes", ""},
		{"eight", "eight888", "", "", "has 8 bytes"},
		{"fifteen", "fifteen-bytes15", "", "", "has 15 bytes"},
		{"sixteen", "sixteen-bytes-16", "", "", ""},
		{"seven and a newline", "file:k", "seven77\n", "has only 7 bytes", ""},
		{"fifteen and a newline", "file:k", "fifteen-bytes15\n", "", "has 15 bytes"},
		{"sixteen and a newline", "file:k", "sixteen-bytes-16\n", "", ""},
		{"in quotes", `"quoted:'short'"`, "", "has only 7 bytes", ""},
		{"from the environment", "env:KEY", "", "has only 6 bytes", ""},
		{"few characters of several bytes", "éééé", "", "", "has 8 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "config.yaml")
			for path, text := range map[string]string{
				file: "sources: {crm: {signature_keys: [{value: " + row.value + "}]}}\n", filepath.Join(dir, "k"): row.file,
			} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := config.Load(config.Options{Path: file, Env: []string{"KEY=secret"}})
			if (err != nil) != (row.fault != "") || err != nil && !strings.Contains(err.Error(), row.fault) {
				t.Fatalf("Load: %v, want %q", err, row.fault)
			}
			if err != nil {
				if !strings.Contains(err.Error(), "openssl rand -hex 32") || !strings.Contains(err.Error(), "docs/keys.md") {
					t.Errorf("%v does not say what to do", err)
				}
				return
			}
			warned := strings.Join(c.Warnings, "\n")
			if (row.warning == "") != !strings.Contains(warned, "the key has") || !strings.Contains(warned, row.warning) {
				t.Errorf("warnings %q, want %q", warned, row.warning)
			}
		})
	}
}
