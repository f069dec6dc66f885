package docs_test

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var (
	shownBy  = regexp.MustCompile("^`go test( -tags [a-z0-9]+)? \\./([a-z0-9/-]+) -run ((?:Test|Fuzz)\\w+)(?:/(\\w+))?`$")
	settings = regexp.MustCompile("`((?:[a-z]+\\.)+[a-z_]+|token_secret)`")
)

// The table "Who may do what" lists promises: each has an existing test, and every actor and
// entrance of the manual is in it.
func TestSecurityTableIsShown(t *testing.T) {
	actors, entrances := defined(t, "## Actors"), defined(t, "## Entrances")
	seen := map[string]bool{}
	for _, row := range rows(t, "## Who may do what", 5) {
		actor, entrance := row[0], row[1]
		if !slices.Contains(actors, actor) || !slices.Contains(entrances, entrance) {
			t.Errorf("%s by %s: not defined above the table", actor, entrance)
		}
		seen[actor], seen[entrance] = true, true
		if row[2] == "" || row[3] == "" {
			t.Errorf("%s by %s: may %q, may not %q, want both said", actor, entrance, row[2], row[3])
		}
		for command := range strings.SplitSeq(row[4], "<br>") {
			if wrong := missing(t, command); wrong != "" {
				t.Errorf("%s by %s is shown by %s: %s", actor, entrance, command, wrong)
			}
		}
	}
	for _, name := range slices.Concat(actors, entrances) {
		if !seen[name] {
			t.Errorf("%s is in no row", name)
		}
	}
}

// Every setting that the checklist names exists.
func TestSecurityNamesSettings(t *testing.T) {
	known := keys(t)
	for _, row := range rows(t, "## Hardening", 2) {
		for _, name := range settings.FindAllStringSubmatch(row[1], -1) {
			if !strings.HasSuffix(name[1], ".md") && !slices.Contains(known, name[1]) {
				t.Errorf("%s: config.yaml has no %s", row[0], name[1])
			}
		}
	}
}

// missing says what is wrong with a command that is to show something; nothing if its test
// is there.
func missing(t *testing.T, command string) string {
	t.Helper()
	m := shownBy.FindStringSubmatch(command)
	if m == nil {
		return "that is no go test ./package -run TestName"
	}
	tags, folder, name, script := strings.TrimPrefix(m[1], " -tags "), filepath.Join("..", m[2]), m[3], m[4]
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(files, func(path string) bool { return declares(t, path, name) })
	if i < 0 {
		return "there is no such test"
	}
	if only := built(t, files[i]); tags != "" != only {
		return "its file is built with tags, or is not, unlike the command"
	}
	if script != "" {
		if _, err := os.Stat(filepath.Join(folder, "testdata", "script", script+".txtar")); err != nil {
			return err.Error()
		}
	}
	return ""
}

// declares reports whether a file has a test function of that name.
func declares(t *testing.T, path, name string) bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		return ok && fn.Recv == nil && fn.Name.Name == name
	})
}

// built reports whether a file is built with the tag e2e only.
func built(t *testing.T, path string) bool {
	t.Helper()
	for line := range strings.Lines(read(t, path)) {
		if !constraint.IsGoBuild(line) {
			continue
		}
		expr, err := constraint.Parse(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		return !expr.Eval(func(tag string) bool { return tag != "e2e" && tag != "race" })
	}
	return false
}

// defined returns the names of a list of definitions.
func defined(t *testing.T, heading string) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^- \*\*([^*]+)\*\*: `).FindAllStringSubmatch(section(t, "security.md", heading), -1) {
		names = append(names, m[1])
	}
	if len(names) < 2 {
		t.Fatalf("security.md defines nothing under %s", heading)
	}
	return names
}

// rows returns the cells of a table without its head.
func rows(t *testing.T, heading string, cells int) (all [][]string) {
	t.Helper()
	for line := range strings.Lines(section(t, "security.md", heading)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if len(row) != cells {
			t.Errorf("security.md has a row of %d cells, want %d: %s", len(row), cells, line)
			continue
		}
		all = append(all, row)
	}
	if len(all) < 4 {
		t.Fatalf("security.md has no table under %s", heading)
	}
	return all[2:]
}

// keys returns the settings of config.yaml, those of its example source included.
func keys(t *testing.T) (names []string) {
	t.Helper()
	head, rest, found := strings.Cut(read(t, "../config.yaml"), "\nsources: {}\n")
	example, rest, whole := strings.Cut(rest, "\n\n")
	if !found || !whole {
		t.Fatal("config.yaml has no example of sources")
	}
	text := head + "\nsources:\n" + regexp.MustCompile(`(?m)^#`).ReplaceAllString(example, "") + "\n\n" + rest
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, n *yaml.Node)
	walk = func(path string, n *yaml.Node) {
		for i, c := range n.Content {
			switch {
			case n.Kind != yaml.MappingNode:
				walk(path, c)
			case i%2 == 1:
				name := strings.TrimPrefix(path+"."+n.Content[i-1].Value, ".")
				names = append(names, name)
				walk(name, c)
			}
		}
	}
	walk("", &doc)
	return names
}
