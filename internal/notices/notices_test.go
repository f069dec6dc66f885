package notices_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/notices"
)

var update = flag.Bool("update", false, "write NOTICE")

const root = "../.."

// NOTICE has the licences of the modules in go.mod.
func TestNoticeIsThatOfTheModules(t *testing.T) {
	want, err := notices.Generate(t.Context(), root, "./cmd/receiver")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "NOTICE")
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("NOTICE is not what the modules of the program say; run `go test ./internal/notices -update` and commit it. First line that differs:\n%s", difference(got, want))
	}
	again, err := notices.Generate(t.Context(), root, "./cmd/receiver")
	if err != nil || !bytes.Equal(again, want) {
		t.Errorf("Generate gives other bytes the second time (%v)", err)
	}
}

func difference(got, want []byte) string {
	have, need := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i, line := range need {
		if i >= len(have) || have[i] != line {
			return "want " + line
		}
	}
	return "got more than wanted"
}

// Every module that go itself names for the binary of this system is in NOTICE, with a text.
func TestNoticeNamesWhatTheBinaryIsBuiltWith(t *testing.T) {
	notice, err := os.ReadFile(filepath.Join(root, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "./cmd/receiver")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(strings.ReplaceAll(string(out), " ", "@"))
	if len(modules) < 20 {
		t.Fatalf("go list names %d packages of modules, want at least 20", len(modules))
	}
	for _, m := range modules {
		line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(strings.Replace(m, "@", " ", 1)) + ` \[\d+\]`)
		if !line.Match(notice) {
			t.Errorf("NOTICE has no line with a text for %s", m)
		}
	}
	seen := map[string]bool{}
	parts := regexp.MustCompile(`(?m)^-{80}\n\[\d+\]$`).Split(string(notice), -1)
	for _, text := range parts[1:] {
		if seen[text] || strings.TrimSpace(text) == "" {
			t.Errorf("NOTICE holds a text twice, or an empty one:\n%.200s", text)
		}
		seen[text] = true
	}
	if len(seen) < 20 {
		t.Errorf("NOTICE holds %d texts, want at least 20", len(seen))
	}
}
