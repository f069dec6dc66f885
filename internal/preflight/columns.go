package preflight

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

const (
	// maxCompared is how many names are compared with one that is not known, for a suggestion, and
	// maxGuessed is how many characters that one has at most.
	maxCompared, maxGuessed = 1000, 60
	// longestPath bounds the work for a name of many dots.
	longestPath = 1000
)

// index are the fields of an object, ready to be looked up.
type index struct {
	fields []Field
	exact  map[string]Field
	folded map[string]string // the name in lower case to the name
	above  map[string]bool   // the paths of which fields are parts
}

var places = regexp.MustCompile(`\[[^\]]*\]`)

// path is a name without the places in lists: phones[*].number is phones.number.
func path(name string) string { return places.ReplaceAllString(name, "") }

// parents calls use with every path above a path. A name longer than longestPath is none.
func parents(p string, use func(string)) {
	if len(p) > longestPath {
		return
	}
	for i := strings.LastIndexByte(p, '.'); i > 0; i = strings.LastIndexByte(p[:i], '.') {
		use(p[:i])
	}
}

// fields returns the fields of the object, made once.
func (c *check) fields() *index {
	if c.index == nil {
		c.index = newIndex(c.target.Fields)
	}
	return c.index
}

func newIndex(fields []Field) *index {
	x := &index{fields: fields, exact: map[string]Field{}, folded: map[string]string{}, above: map[string]bool{}}
	for _, f := range fields {
		p := path(f.Name)
		x.exact[p] = f
		x.folded[strings.ToLower(p)] = f.Name
		parents(p, func(up string) { x.above[up] = true })
	}
	return x
}

// knows reports whether a column is a field, a part of one, or has fields as its parts: what is
// within a field of a composite type is not always listed.
func (x *index) knows(column string) bool {
	p := path(column)
	_, known := x.exact[p]
	known = known || x.above[p]
	parents(p, func(up string) {
		_, is := x.exact[up]
		known = known || is
	})
	return known
}

// judgeHeader judges the names of the columns.
func (c *check) judgeHeader(header []string) {
	c.judgeTarget()
	seen := map[string]bool{}
	for i, raw := range header {
		c.report.Columns = append(c.report.Columns, shown(raw))
		name := strings.TrimSpace(raw)
		if name == "" {
			c.found(Finding{Kind: EmptyColumn, Message: fmt.Sprintf("column %d has no name; name it, or remove it", i+1)})
			continue
		}
		if name != raw {
			c.column(PaddedColumn, Error, name, "has spaces around its name; remove them")
		}
		if seen[name] {
			c.column(DuplicateColumn, Error, name, "is there more than once; keep one")
			continue
		}
		seen[name] = true
		if c.report.Compared {
			c.judgeColumn(name)
		}
	}
	c.judgeMissing(seen)
}

// judgeTarget judges what is known of the object.
func (c *check) judgeTarget() {
	t := c.target
	c.report.Compared = len(t.Fields) > 0
	switch {
	case t.Missing:
		f := Finding{Kind: UnknownObject}
		message := fmt.Sprintf("the platform has no object %s", shown(t.Object))
		if near := closest(t.Object, t.Objects, func(s string) (string, string) { return s, "" }); near != "" {
			f.Nearest = shown(near)
			message += fmt.Sprintf(" (did you mean %s?)", f.Nearest)
		}
		f.Message = message + "; `receiver objects` lists those that it has"
		c.found(f)
	case t.Unknown != "":
		c.found(Finding{Kind: NotCompared, Severity: Warning, Message: "the columns were not compared with the fields of the object: " + t.Unknown})
	}
}

// judgeColumn compares a column with the fields.
func (c *check) judgeColumn(name string) {
	x := c.fields()
	if x.knows(name) {
		if x.exact[path(name)].ReadOnly && name != c.meta.key() {
			c.column(ReadOnlyColumn, Warning, name, "is a field that the platform only reads; its values will be ignored or refused")
		}
		return
	}
	if field, is := x.folded[strings.ToLower(path(name))]; is {
		c.found(Finding{Kind: ColumnCase, Severity: Warning, Column: shown(name), Nearest: shown(field), Message: fmt.Sprintf(
			"column %s differs from the field %s in upper and lower case; write it like the field", shown(name), shown(field))})
		return
	}
	severity, advice := Error, "rename or remove it"
	if c.target.Mapped {
		severity, advice = Warning, "ignore this if the platform maps it to a field"
	}
	f, meant := Finding{Kind: UnknownColumn, Severity: severity, Column: shown(name)}, ""
	if !c.full() { // else nobody reads it
		near := closest(name, x.fields, func(f Field) (string, string) { return f.Name, f.Display })
		if near.Name != "" {
			f.Nearest = shown(near.Name)
			meant = fmt.Sprintf(" (did you mean %s?)", f.Nearest)
		}
	}
	f.Message = fmt.Sprintf("column %s is no field of %s%s; %s", f.Column, shown(c.target.Object), meant, advice)
	c.found(f)
}

// judgeMissing looks for columns that must be there. A required part of a field is missing only if
// another part of that field is there.
func (c *check) judgeMissing(seen map[string]bool) {
	columns, parts := map[string]bool{}, map[string]bool{}
	for name := range seen {
		p := strings.ToLower(path(name))
		columns[p] = true
		parents(p, func(up string) { parts[up] = true })
	}
	if key := c.meta.key(); key != "" && !columns[strings.ToLower(path(key))] {
		c.found(Finding{Kind: MissingKey, Column: shown(key), Message: fmt.Sprintf(
			"the metadata names %s as the field that identifies rows, and no column has this name; add the column", shown(key))})
	}
	severity := Error
	switch strings.ToLower(c.meta.Action) {
	case "update", "delete":
		return // rows that exist have their required fields
	case "", "upsert":
		if c.target.Mapped || c.meta.key() != "" {
			severity = Warning
		}
	}
	for _, f := range c.target.Fields {
		p := strings.ToLower(path(f.Name))
		if !f.Required || f.ReadOnly || columns[p] || parts[p] || p == strings.ToLower(path(c.meta.key())) {
			continue
		}
		given, nested := false, false
		parents(p, func(up string) { nested, given = true, given || columns[up] })
		direct := p[:max(0, strings.LastIndexByte(p, '.'))]
		if given || nested && !parts[direct] {
			continue
		}
		c.column(MissingColumn, severity, f.Name, "is required by the platform, and no column has this name; add it")
	}
}

// column adds a finding about a column.
func (c *check) column(k Kind, s Severity, name, says string) {
	name = shown(name)
	c.found(Finding{Kind: k, Severity: s, Column: name, Message: fmt.Sprintf("column %s %s", name, says)})
}

// closest returns what has the name nearest to word, or one with that display name; the zero value
// if none is near.
func closest[T any](word string, of []T, names func(T) (name, display string)) T {
	var nearest T
	word = strings.ToLower(word)
	length := utf8.RuneCountInString(word)
	if length > maxGuessed {
		return nearest
	}
	// Further away than that, a suggestion is a guess.
	least := max(2, length/3) + 1
	for _, candidate := range of[:min(len(of), maxCompared)] {
		name, display := names(candidate)
		if strings.EqualFold(display, word) { // word is not empty
			return candidate
		}
		if n := utf8.RuneCountInString(name); n-length >= least || length-n >= least {
			continue
		}
		if d := levenshtein.ComputeDistance(word, strings.ToLower(name)); d < least {
			nearest, least = candidate, d
		}
	}
	return nearest
}
