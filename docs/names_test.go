package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// snakeCase is how every member of our JSON is named: answers, -o json, headers and reports.
var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// others are names in JSON that are not ours: those of the platform, and two that stand in events
// stored before December 2026.
var others = []string{
	"apiLimit", "callback-payload", "continueFromJobId", "filterDateField", "filterNulls", "notificationUrl", "objectName",
	"pageSize", "selectFields", "vendorDisplayName", "vendorNativeType", "vendorPath", "vendorReadOnly", "vendorRequired",
	"fileFormat", "vendorJob",
}

// TestNamesInJSON holds the names in JSON to one rule.
func TestNamesInJSON(t *testing.T) {
	seen := 0
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
		ast.Inspect(f, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil {
				return true
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			member, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			if member == "" || member == "-" {
				return true
			}
			seen++
			if !snakeCase.MatchString(member) && !slices.Contains(others, member) {
				t.Errorf("%s: the name %q in JSON is not in snake_case", set.Position(field.Pos()), member)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 300 {
		t.Errorf("looked at %d names: this test looks at the wrong folder", seen)
	}
}
