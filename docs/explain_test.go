package docs_test

import (
	"regexp"
	"slices"
	"testing"

	"receiver/internal/diagnose"
	"receiver/internal/preflight"
)

var codeRow = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| [^|]+ \\|$")

func TestOperationsListsTheCodesOfFindings(t *testing.T) {
	var got []string
	for _, m := range codeRow.FindAllStringSubmatch(section(t, "operations.md", "### How to read findings"), -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	if want := diagnose.Codes(); !slices.Equal(got, want) {
		t.Errorf("operations.md lists the codes\n%q, want\n%q", got, want)
	}
}

func TestOperationsListsTheKindsOfFindingsInAFile(t *testing.T) {
	var got []preflight.Kind
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(section(t, "operations.md", "## Before a file is uploaded"), -1) {
		got = append(got, preflight.Kind(m[1]))
	}
	if want := preflight.Kinds(); !slices.Equal(got, want) {
		t.Errorf("operations.md lists the kinds\n%q, want\n%q", got, want)
	}
}

// section returns a manual from a heading up to the next one.
func section(t *testing.T, path, heading string) string {
	t.Helper()
	text := read(t, path)
	from := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(heading) + "$").FindStringIndex(text)
	if from == nil {
		t.Fatalf("%s has no heading %q", path, heading)
	}
	rest := text[from[1]:]
	if next := regexp.MustCompile(`(?m)^#+ `).FindStringIndex(rest); next != nil {
		rest = rest[:next[0]]
	}
	return rest
}
