package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one operator that is another one.
type mutant struct {
	kind         string // of mutation
	file         string
	line, column int    // of the operator
	text         string // of the line, with the operator in quotes
	source       []byte // of the file; nil for a mutant that is in the binary of all
}

// variable of the environment says which mutant is active, by its number from 1.
const variable = "MUTANT"

// helpers are added to the package, with one for each operator. A call has the numbers of its
// mutants.
const helpers = `
import ("cmp"; "os"; "strconv")

var mutActive = func() int { n, _ := strconv.Atoi(os.Getenv("` + variable + `")); return n }()

func mutIs(id int) bool { return mutActive == id }

func mutLess[T cmp.Ordered](bound, neg int, a, b T) bool { return (a < b || mutIs(bound) && a == b) != mutIs(neg) }

func mutLessEqual[T cmp.Ordered](bound, neg int, a, b T) bool { return (a < b || !mutIs(bound) && a == b) != mutIs(neg) }

type mutInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

type mutNumber interface { mutInteger | ~float32 | ~float64 }

func mutNegative[T mutNumber](id int, a T) T { if mutIs(id) { return a }; return -a }
`

// operator is the helper of an arithmetic or bitwise one.
func operator(op, other token.Token) string {
	types, b := "T mutInteger", "T"
	switch op {
	case token.ADD, token.SUB, token.MUL, token.QUO:
		types = "T mutNumber"
	case token.SHL, token.SHR:
		types, b = "T, U mutInteger", "U"
	}
	return fmt.Sprintf("func mutOp%d[%s](id int, a T, b %s) T { if mutIs(id) { return a %s b }; return a %s b }\n", op, types, b, other, op)
}

var (
	arithmetic = map[token.Token]token.Token{token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL, token.REM: token.MUL}
	bitwise    = map[token.Token]token.Token{token.AND: token.OR, token.OR: token.AND, token.XOR: token.AND, token.AND_NOT: token.AND, token.SHL: token.SHR, token.SHR: token.SHL}
	assigning  = map[token.Token]token.Token{
		token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN, token.MUL_ASSIGN: token.QUO_ASSIGN, token.QUO_ASSIGN: token.MUL_ASSIGN, token.REM_ASSIGN: token.MUL_ASSIGN,
		token.AND_ASSIGN: token.OR_ASSIGN, token.OR_ASSIGN: token.AND_ASSIGN, token.XOR_ASSIGN: token.AND_ASSIGN, token.AND_NOT_ASSIGN: token.AND_ASSIGN,
		token.SHL_ASSIGN: token.SHR_ASSIGN, token.SHR_ASSIGN: token.SHL_ASSIGN,
	}
)

// sources are those of a package without its tests.
type sources struct {
	dir     string
	fset    *token.FileSet
	files   []*ast.File
	texts   [][]byte
	info    *types.Info
	pkg     *types.Package
	mutants []mutant

	at   int  // the file under way
	loop bool // what is under way is in a loop of its function
}

func parse(dir string) (*sources, error) {
	p := &sources{dir: dir, fset: token.NewFileSet(), info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(p.fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files, p.texts = append(p.files, f), append(p.texts, text)
	}
	if len(p.files) == 0 {
		return nil, errors.New("there is no Go file")
	}
	conf := types.Config{Importer: importer.ForCompiler(p.fset, "source", nil)}
	p.pkg, err = conf.Check(dir, p.fset, p.files, p.info)
	return p, err
}

// switched returns the contents of the files with all mutants that can be in one binary, and notes
// all mutants.
func (p *sources) switched() map[string][]byte {
	all := map[string][]byte{}
	for i, f := range p.files {
		p.at = i
		text := p.texts[i]
		all[filepath.Base(p.fset.Position(f.Pos()).Filename)] = slices.Concat(text[:p.offset(f.Pos())], []byte(p.render(f)), text[p.offset(f.End()):])
	}
	calls := "package " + p.files[0].Name.Name + "\n" + helpers
	for op, other := range arithmetic {
		calls += operator(op, other)
	}
	for op, other := range bitwise {
		calls += operator(op, other)
	}
	all["mut_helpers.go"] = []byte(calls)
	return all
}

func (p *sources) offset(pos token.Pos) int { return p.fset.Position(pos).Offset }

// note notes a mutant and returns its number. Without a replacement it is in the binary of all.
func (p *sources) note(kind string, op token.Token, pos token.Pos, replacement string) int {
	text, at := p.texts[p.at], p.offset(pos)
	end := at + len(op.String())
	where := p.fset.Position(pos)
	from := at - (where.Column - 1)
	line, _, _ := strings.Cut(string(text[end:]), "\n")
	line, _, _ = strings.Cut(line, " // ")
	m := mutant{
		kind: kind, file: filepath.Join(p.dir, filepath.Base(where.Filename)), line: where.Line, column: where.Column,
		text: strings.TrimSpace(string(text[from:at]) + "«" + op.String() + "»" + line),
	}
	if replacement != "" {
		m.source = slices.Concat(text[:at], []byte(replacement), text[end:])
	}
	p.mutants = append(p.mutants, m)
	return len(p.mutants)
}

// render returns the text of a node, with the mutants in it.
func (p *sources) render(n ast.Node) string {
	defer func(was bool) { p.loop = was }(p.loop)
	switch n.(type) {
	case *ast.ForStmt, *ast.RangeStmt:
		p.loop = true
	case *ast.FuncLit:
		p.loop = false
	}
	if text, ok := p.mutate(n); ok {
		return text
	}
	return p.inside(n)
}

// inside returns the text of a node, with the mutants in what it consists of.
func (p *sources) inside(n ast.Node) string {
	var parts []ast.Node
	ast.Inspect(n, func(c ast.Node) bool {
		if c != nil && c != n {
			parts = append(parts, c)
		}
		return c == n
	})
	slices.SortFunc(parts, func(a, b ast.Node) int { return cmp.Compare(a.Pos(), b.Pos()) })
	var b strings.Builder
	text, at := p.texts[p.at], p.offset(n.Pos())
	for _, part := range parts {
		if p.offset(part.Pos()) < at { // a part of a part before it
			continue
		}
		b.Write(text[at:p.offset(part.Pos())])
		b.WriteString(p.render(part))
		at = p.offset(part.End())
	}
	b.Write(text[at:p.offset(n.End())])
	return b.String()
}

func (p *sources) mutate(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return p.binary(n)
	case *ast.UnaryExpr:
		if n.Op != token.SUB {
			return "", false
		}
		if p.constant(n) {
			p.note("INVERT_NEGATIVES", n.Op, n.OpPos, "+")
			return "", false
		}
		return fmt.Sprintf("mutNegative[%s](%d, %s)", p.typeOf(n), p.note("INVERT_NEGATIVES", n.Op, n.OpPos, ""), p.render(n.X)), true
	case *ast.IncDecStmt:
		other := token.DEC
		if n.Tok == token.DEC {
			other = token.INC
		}
		x := p.render(n.X)
		return fmt.Sprintf("func() { if mutIs(%d) { %s%s } else { %s%s } }()", p.note("INCREMENT_DECREMENT", n.Tok, n.TokPos, ""), x, other, x, n.Tok), true
	case *ast.AssignStmt:
		return p.assign(n)
	case *ast.BranchStmt:
		return p.branch(n)
	}
	return "", false
}

func (p *sources) binary(n *ast.BinaryExpr) (string, bool) {
	switch n.Op {
	case token.LAND, token.LOR:
		// With m for "the mutant is active", ((a != m) && (b != m)) != m is a && b, or a || b.
		a, b, id := p.render(n.X), p.render(n.Y), p.note("INVERT_LOGICAL", n.Op, n.OpPos, "")
		return fmt.Sprintf("(((%s) != mutIs(%d) %s (%s) != mutIs(%d)) != mutIs(%d))", a, id, n.Op, b, id, id), true
	}
	switch n.Op {
	case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
		if p.constant(n) {
			return "", false
		}
		return p.compared(n), true
	}
	kind, other := "ARITHMETIC_BASE", arithmetic[n.Op]
	if other == 0 {
		kind, other = "INVERT_BITWISE", bitwise[n.Op]
	}
	switch {
	case !p.is(n, types.IsNumeric): // strings are added, and nothing else is done to them
		return "", false
	case p.constant(n):
		p.note(kind, n.Op, n.OpPos, other.String())
		return "", false
	}
	a, b := p.render(n.X), p.render(n.Y)
	return fmt.Sprintf("mutOp%d[%s](%d, %s, %s)", n.Op, p.typeOf(n), p.note(kind, n.Op, n.OpPos, ""), a, b), true
}

func (p *sources) compared(n *ast.BinaryExpr) string {
	a, b := p.render(n.X), p.render(n.Y)
	name := "mutLess"
	switch n.Op {
	case token.EQL, token.NEQ:
		return fmt.Sprintf("((%s %s %s) != mutIs(%d))", a, n.Op, b, p.note("CONDITIONALS_NEGATION", n.Op, n.OpPos, ""))
	case token.LEQ:
		name = "mutLessEqual"
	case token.GTR:
		a, b = b, a
	case token.GEQ:
		name, a, b = "mutLessEqual", b, a
	}
	bound := p.note("CONDITIONALS_BOUNDARY", n.Op, n.OpPos, "")
	return fmt.Sprintf("%s(%d, %d, %s, %s)", name, bound, p.note("CONDITIONALS_NEGATION", n.Op, n.OpPos, ""), a, b)
}

func (p *sources) assign(n *ast.AssignStmt) (string, bool) {
	other := assigning[n.Tok]
	if other == 0 {
		return "", false
	}
	x, y := p.render(n.Lhs[0]), p.render(n.Rhs[0])
	text := fmt.Sprintf("%s %s %s", x, n.Tok, y)
	if n.Tok != token.SHL_ASSIGN && n.Tok != token.SHR_ASSIGN {
		text = fmt.Sprintf("if mutIs(%d) { %s = %s } else { %s }", p.note("REMOVE_SELF_ASSIGNMENTS", n.Tok, n.TokPos, ""), x, y, text)
	}
	if p.is(n.Lhs[0], types.IsNumeric) {
		kind := "INVERT_ASSIGNMENTS"
		if n.Tok > token.REM_ASSIGN {
			kind = "INVERT_BWASSIGN"
		}
		text = fmt.Sprintf("if mutIs(%d) { %s %s %s } else { %s }", p.note(kind, n.Tok, n.TokPos, ""), x, other, y, text)
	}
	return "func() { " + text + " }()", true
}

// branch swaps break and continue where both are possible: not where a label says of what.
func (p *sources) branch(n *ast.BranchStmt) (string, bool) {
	other := map[token.Token]token.Token{token.BREAK: token.CONTINUE, token.CONTINUE: token.BREAK}[n.Tok]
	if other == 0 || n.Label != nil || !p.loop {
		return "", false
	}
	return fmt.Sprintf("if mutIs(%d) { %s } else { %s }", p.note("INVERT_LOOPCTRL", n.Tok, n.TokPos, ""), other, n.Tok), true
}

// constant reports whether an expression is one, or is not typed.
func (p *sources) constant(e ast.Expr) bool {
	tv, ok := p.info.Types[e]
	return !ok || tv.Value != nil
}

func (p *sources) is(e ast.Expr, info types.BasicInfo) bool {
	t := p.info.Types[e].Type
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&info != 0
}

func (p *sources) typeOf(e ast.Expr) string {
	return types.TypeString(p.info.Types[e].Type, func(other *types.Package) string {
		if other == p.pkg {
			return ""
		}
		return other.Name()
	})
}
