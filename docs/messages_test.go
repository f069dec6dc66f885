package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// countOfMany is a number with a noun in the plural, in a format.
var countOfMany = regexp.MustCompile(`%d ([a-z]{3,} )?[a-z]{3,}s\b`)

// TestMessages holds the help texts, messages and findings against the banned phrases: every
// string literal with a space, outside of tests. Those of commands count one thing as one.
func TestMessages(t *testing.T) {
	banned := append(phrases(t, "words.txt"), phrases(t, "messages.txt")...)
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != ".." && skipped(d.Name()):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		commands := strings.HasPrefix(filepath.ToSlash(name), "../cmd/receiver/") || strings.HasPrefix(filepath.ToSlash(name), "../internal/doctor/") ||
			strings.HasPrefix(filepath.ToSlash(name), "../internal/service/")
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || !strings.Contains(lit.Value, " ") {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if hit := countOfMany.FindString(text); hit != "" && commands {
				t.Errorf("%s: %q is wrong for one: write words.Count", set.Position(lit.Pos()), hit)
			}
			for _, p := range banned {
				if hit := p.pattern.FindString(strings.Join(strings.Fields(text), " ")); hit != "" {
					t.Errorf("%s: %q: write instead: %s", set.Position(lit.Pos()), hit, p.instead)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
