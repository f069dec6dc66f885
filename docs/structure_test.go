package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// skipped are folders that hold no code of this module.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") && name != "." || name == "testdata" || name == "node_modules"
}

// packages returns the imports of every package folder, tests left out, whatever the build tags.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder := path.Dir(name)
		imports[folder] = slices.Clip(imports[folder]) // so that a package without imports is there
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if ours, ok := strings.CutPrefix(imported, "receiver/"); ok && !slices.Contains(imports[folder], ours) {
				imports[folder] = append(imports[folder], ours)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(imports) < 40 {
		t.Fatalf("found %d packages: this test looks at the wrong folder", len(imports))
	}
	return imports
}

// TestReadmeNamesEveryPackage holds "Project structure" of the README against the tree: a row
// for each package, one sentence a row.
func TestReadmeNamesEveryPackage(t *testing.T) {
	found := regexp.MustCompile("(?s)\n## Project structure\n(.*?)(?:\n## |$)").FindStringSubmatch(read(t, "../README.md"))
	if found == nil {
		t.Fatal("README.md has no section \"Project structure\"")
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z/-]+)/` \\| (.+) \\|$")
	rows := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(found[1], -1) {
		if rows[m[1]] != "" {
			t.Errorf("README.md has two rows for %s", m[1])
		}
		rows[m[1]] = m[2]
		if !regexp.MustCompile(`^[A-Z][^.]*(\.[^ .][^.]*)*\.$`).MatchString(m[2]) {
			t.Errorf("README.md says of %s %q, want one sentence", m[1], m[2])
		}
		if info, err := os.Stat(filepath.Join("..", m[1])); err != nil || !info.IsDir() {
			t.Errorf("README.md has a row for %s, which is no folder", m[1])
		}
	}
	notGo := []string{"docs", "examples/consumer-js", "examples/service-java", "examples/service-js", "examples/service-python"}
	tree := packages(t)
	for folder := range tree {
		if folder != "." && rows[folder] == "" {
			t.Errorf("README.md has no row for the package %s", folder)
		}
	}
	for folder := range rows {
		if _, ok := tree[folder]; !ok && !slices.Contains(notGo, folder) {
			t.Errorf("README.md has a row for %s, which holds no package", folder)
		}
	}
}

// TestImportsPointDown holds the layers of architecture.md: a package imports packages of its
// own layer and of those below. Go itself forbids circles within a layer.
func TestImportsPointDown(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| (\d+) \| [^|]+ \| (.+) \|$`)
	name := regexp.MustCompile("`([a-z/-]+)`")
	layer := map[string]int{}
	for _, m := range row.FindAllStringSubmatch(section(t, "architecture.md", "## Layers"), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range name.FindAllStringSubmatch(m[2], -1) {
			if layer[p[1]] != 0 {
				t.Errorf("architecture.md has %s in two layers", p[1])
			}
			layer[p[1]] = n
		}
	}
	tree := map[string][]string{}
	short := func(folder string) string { return strings.TrimPrefix(folder, "internal/") }
	for folder, imports := range packages(t) {
		tree[short(folder)] = imports
	}
	delete(tree, ".") // notice.go, which imports nothing
	for folder, imports := range tree {
		if layer[folder] == 0 {
			t.Errorf("architecture.md has no layer for %s", folder)
		}
		for _, imported := range imports {
			if above := layer[short(imported)]; above > layer[folder] {
				t.Errorf("%s (layer %d) imports %s (layer %d): an import points down; declare the interface you need, or move the code",
					folder, layer[folder], imported, above)
			}
		}
	}
	for folder := range layer {
		if _, ok := tree[folder]; !ok {
			t.Errorf("architecture.md has a layer for %s, which is no package", folder)
		}
	}
}

// TestTheWalkExists holds the walk of architecture.md: each hop is a function of that file.
func TestTheWalkExists(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| \\d+ \\| `([^`]+)` \\| `([^`]+)` \\| [^|]+ \\|$")
	text := section(t, "architecture.md", "## One callback's body, from socket to stream")
	hops := row.FindAllStringSubmatch(text, -1)
	if len(hops) < 10 || len(hops) != strings.Count(text, "\n|")-2 {
		t.Errorf("architecture.md has a walk of %d hops that this test understands in %d lines of its table, want all, and at least 10",
			len(hops), strings.Count(text, "\n|")-2)
	}
	for _, hop := range hops {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", hop[1]), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("architecture.md: %v", err)
			continue
		}
		if !slices.ContainsFunc(f.Decls, func(d ast.Decl) bool { return functionName(d) == hop[2] }) {
			t.Errorf("architecture.md names %s in %s, which has no such function", hop[2], hop[1])
		}
	}
}

// functionName returns Name, or Type.Name of a method; nothing of other declarations.
func functionName(d ast.Decl) string {
	fn, ok := d.(*ast.FuncDecl)
	if !ok {
		return ""
	}
	if fn.Recv == nil {
		return fn.Name.Name
	}
	of := fn.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "." + fn.Name.Name
	}
	return ""
}

// TestPagesOpenWithThreeLines holds that each page says at its top for whom it is, what it covers
// and when to read it.
func TestPagesOpenWithThreeLines(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	opening := regexp.MustCompile(`^# .+\n\nFor .+\.\nIt .+\.\nRead .+\.\n\n`)
	howTo, err := filepath.Glob("howto/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range slices.Concat(pages, howTo, []string{"../SECURITY.md", "../SUPPORT.md", "../CONTRIBUTING.md"}) {
		if !opening.MatchString(read(t, page)) {
			t.Errorf("%s does not open with its title and three lines: For …, It …, Read …", page)
		}
	}
}
