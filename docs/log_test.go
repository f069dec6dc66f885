package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestOperationsListsTheLog compares the log statements of the receiver with the tables of
// operations.md: messages, levels and fields.
func TestOperationsListsTheLog(t *testing.T) {
	code := readLogging(t, "../cmd/receiver", "../internal")
	if len(code.lines) < 50 || !code.context["listener"] {
		t.Fatalf("found %d messages and the context fields %v: this test does not read the code as it should", len(code.lines), code.context)
	}
	manual := readLogTables(t)
	for message, is := range code.lines {
		said := manual[message]
		if said == nil {
			t.Errorf("operations.md has no row for %q, of level %v with the fields %v", message, is.levels, is.fields)
			continue
		}
		for field := range code.context { // the caller's logger may add it
			if said.fields[field] {
				is.fields[field] = true
			}
		}
		if !maps.Equal(said.levels, is.levels) {
			t.Errorf("operations.md has the level %v for %q, want %v", said.levels, message, is.levels)
		}
		if !maps.Equal(said.fields, is.fields) {
			t.Errorf("operations.md has the fields %v for %q, want %v", said.fields, message, is.fields)
		}
	}
	for message := range manual {
		if code.lines[message] == nil {
			t.Errorf("operations.md has a row for %q, which the receiver does not log", message)
		}
	}
}

type names map[string]bool

func (n names) String() string { return strings.Join(slices.Sorted(maps.Keys(n)), ", ") }

// logLine is what the code or the manual says of one message.
type logLine struct{ levels, fields names }

// readLogTables reads the rows "| `message` | level | `field`, `field` | meaning |".
func readLogTables(t *testing.T) map[string]*logLine {
	rows := map[string]*logLine{}
	row := regexp.MustCompile("(?m)^\\| `([^|]+)` \\| ([a-z, ]+) \\|([^|]*)\\| [^|]+ \\|$")
	for _, m := range row.FindAllStringSubmatch(section(t, "operations.md", "## The log"), -1) {
		line := &logLine{names{}, names{}}
		for level := range strings.SplitSeq(m[2], ", ") {
			line.levels[level] = true
		}
		for _, field := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(m[3], -1) {
			line.fields[field[1]] = true
		}
		if rows[m[1]] != nil {
			t.Errorf("operations.md has two rows for %q", m[1])
		}
		rows[m[1]] = line
	}
	return rows
}

// logging is what the code logs: its messages, and the fields that loggers are given by With.
type logging struct {
	lines   map[string]*logLine
	context names
}

// otherLogs are the packages of programs that have a log of their own.
var otherLogs = regexp.MustCompile(`/internal/(simulator|bench|conformance|cluster|natstest)$`)

func readLogging(t *testing.T, folders ...string) logging {
	all := logging{map[string]*logLine{}, names{}}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && otherLogs.MatchString(filepath.ToSlash(path)):
				return fs.SkipDir
			case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range file.Decls {
				all.read(t, set, d)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// read adds what a function logs.
func (l logging) read(t *testing.T, set *token.FileSet, function ast.Decl) {
	s := newScope(function)
	ast.Inspect(function, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, of := methodOf(call)
		line := s.chain(of)
		switch {
		case method == "Logger": // at the end of With
			maps.Copy(l.context, line.fields)
		case line.fields["from"]: // a library's message
		case method == "Msgf", method == "MsgFunc", method == "Send" && len(line.levels) > 0:
			t.Errorf("%v: use Msg with a constant instead of %s", set.Position(call.Pos()), method)
		case method == "Msg" && s.text(call.Args[0]) == "":
			t.Errorf("%v: the message is not a constant", set.Position(call.Pos()))
		case method == "Msg" && l.lines[s.text(call.Args[0])] == nil:
			l.lines[s.text(call.Args[0])] = line
		case method == "Msg":
			same := l.lines[s.text(call.Args[0])]
			maps.Copy(same.levels, line.levels)
			maps.Copy(same.fields, line.fields)
		}
		return true
	})
}

// scope has what is assigned to the variables of a function, and the texts of its constants.
type scope struct {
	assigned map[string][]ast.Expr
	texts    map[string]string
}

func newScope(function ast.Decl) scope {
	s := scope{map[string][]ast.Expr{}, map[string]string{}}
	ast.Inspect(function, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, to := range n.Lhs {
				if name, ok := to.(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) {
					s.assigned[name.Name] = append(s.assigned[name.Name], n.Rhs[i])
				}
			}
		case *ast.GenDecl:
			for _, spec := range n.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && n.Tok == token.CONST {
					for i := range v.Values {
						s.texts[v.Names[i].Name] = s.text(v.Values[i])
					}
				}
			}
		}
		return true
	})
	return s
}

// text is the value of a string constant, or empty.
func (s scope) text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			value, _ := strconv.Unquote(e.Value)
			return value
		}
	case *ast.Ident:
		return s.texts[e.Name]
	}
	return ""
}

// chain returns the levels and fields of calls such as log.Warn().Err(err).Str("job", id). A
// variable has all that the function assigns to it anywhere.
func (s scope) chain(of ast.Expr) *logLine {
	line, seen := &logLine{names{}, names{}}, names{}
	var follow func(e ast.Expr)
	follow = func(e ast.Expr) {
		switch e := e.(type) {
		case *ast.Ident:
			if !seen[e.Name] {
				seen[e.Name] = true
				for _, from := range s.assigned[e.Name] {
					follow(from)
				}
			}
		case *ast.CallExpr:
			method, of := methodOf(e)
			switch method {
			case "Trace", "Debug", "Info", "Warn", "Error":
				line.levels[strings.ToLower(method)] = true
				return
			case "WithLevel":
				s.levels(e.Args[0], line.levels)
				return
			case "Err":
				line.fields["error"] = true
			default:
				if len(e.Args) > 0 && s.text(e.Args[0]) != "" {
					line.fields[s.text(e.Args[0])] = true
				}
			}
			follow(of)
		}
	}
	follow(of)
	return line
}

// levels adds what the argument of WithLevel can be.
func (s scope) levels(e ast.Expr, to names) {
	switch e := e.(type) {
	case *ast.Ident:
		for _, from := range s.assigned[e.Name] {
			s.levels(from, to)
		}
	case *ast.SelectorExpr:
		if level, ok := strings.CutSuffix(e.Sel.Name, "Level"); ok {
			to[strings.ToLower(level)] = true
		} else {
			to["varies"] = true
		}
	}
}

func methodOf(call *ast.CallExpr) (name string, of ast.Expr) {
	if s, ok := call.Fun.(*ast.SelectorExpr); ok {
		return s.Sel.Name, s.X
	}
	return "", nil
}
