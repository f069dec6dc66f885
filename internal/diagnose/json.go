package diagnose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"sort"
	"strings"
	"unicode/utf8"
)

// maxDepth is the deepest nesting that is written again.
const maxDepth = 64

// node is a JSON value. Numbers keep their digits, and objects the order of their
// members and members of one name.
type node struct {
	kind  byte   // { [ " or 0 for what is written as it is
	text  string // of a string, decoded; of others as written
	names []string
	items []node
}

// rewritten gives b, if it is a JSON object or array, as the usual serialisers write it.
// For spend see bodyMistakes.
func rewritten(b []byte, spend func(work int) bool) iter.Seq[mistake] {
	return func(yield func(mistake) bool) {
		if len(b) > maxJSON || !json.Valid(b) || !spend((readCost+writeCost*len(escapings))*len(b)) {
			return
		}
		root, ok := parseJSON(b)
		if !ok {
			return
		}
		write := func(order string) bool {
			for _, e := range root.differing() {
				for _, s := range spacings {
					data := (&jsonWriter{spacing: s, escaping: e}).write(root)
					if !spend(writeCost*len(data)) || !bytes.Equal(data, b) && !yield(mistake{cause{"body_json", order + s.name + ", " + e.name}, data}) {
						return false
					}
				}
			}
			return true
		}
		given := root.compact()
		if !write("") {
			return
		}
		root.sort()
		if !bytes.Equal(root.compact(), given) {
			write("sorted by key, ")
		}
	}
}

// compact is the value in the plainest style.
func (n node) compact() []byte {
	return (&jsonWriter{spacing: spacings[0], escaping: escapings[0]}).write(n)
}

// differing returns those escapings that make a difference to the value.
func (n node) differing() []escaping {
	var all []escaping
	seen := map[string]bool{}
	for _, e := range escapings {
		data := string((&jsonWriter{spacing: spacings[0], escaping: e}).write(n))
		if !seen[data] {
			seen[data] = true
			all = append(all, e)
		}
	}
	return all
}

// parseJSON reads one object or array and nothing after it, of bounded depth.
func parseJSON(b []byte) (root node, ok bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	root, ok = parseNode(d, 0)
	_, err := d.Token()
	return root, ok && err == io.EOF && (root.kind == '{' || root.kind == '[')
}

func parseNode(d *json.Decoder, depth int) (n node, ok bool) {
	token, err := d.Token()
	if err != nil || depth > maxDepth {
		return n, false
	}
	switch t := token.(type) {
	case json.Delim:
		n.kind = byte(t)
	case string:
		return node{kind: '"', text: t}, true
	case nil:
		return node{text: "null"}, true
	default: // a number or a bool
		return node{text: fmt.Sprint(t)}, true
	}
	for d.More() {
		if n.kind == '{' {
			name, err := d.Token()
			if err != nil {
				return n, false
			}
			n.names = append(n.names, fmt.Sprint(name))
		}
		item, ok := parseNode(d, depth+1)
		if !ok {
			return n, false
		}
		n.items = append(n.items, item)
	}
	_, err = d.Token() // the closing bracket
	return n, err == nil
}

// sort sorts the members of all objects by name.
func (n *node) sort() {
	for i := range n.items {
		n.items[i].sort()
	}
	if n.kind == '{' {
		sort.Stable(byName{n})
	}
}

type byName struct{ *node }

func (b byName) Len() int           { return len(b.names) }
func (b byName) Less(i, j int) bool { return b.names[i] < b.names[j] }
func (b byName) Swap(i, j int) {
	b.names[i], b.names[j] = b.names[j], b.names[i]
	b.items[i], b.items[j] = b.items[j], b.items[i]
}

// spacing is how a serialiser spaces; with an indent, each item has a line.
type spacing struct{ name, comma, colon, indent string }

var spacings = []spacing{
	{"compact", ",", ":", ""},
	{"with a space after comma and colon", ", ", ": ", ""},
	{"indented by 2", ",", ": ", "  "},
	{"indented by 4", ",", ": ", "    "},
	{"indented by tabs", ",", ": ", "\t"},
}

// escaping is what a serialiser escapes beyond what JSON demands.
type escaping struct {
	name  string
	ascii bool   // everything outside ASCII, as \u00e9
	upper bool   // hexadecimal digits in upper case
	slash bool   // / as \/
	chars string // these as \u003c
}

var escapings = []escaping{
	{name: "no unnecessary escapes"},
	{name: `\u00e9 for é`, ascii: true},
	{name: `\u00E9 for é`, ascii: true, upper: true},
	{name: `\u003c, \u003e and \u0026 for <, > and &`, chars: "<>&\u2028\u2029"},
	{name: `\/ for /`, slash: true},
	{name: `\/ for / and \u00e9 for é`, slash: true, ascii: true},
	{name: `\u003C for < and \u00E9 for é, as .NET does`, ascii: true, upper: true, chars: "<>&'+`\""},
}

// jsonWriter writes values in one style.
type jsonWriter struct {
	spacing
	escaping
	out []byte
}

func (w *jsonWriter) write(n node) []byte {
	w.node(n, 1)
	return w.out
}

func (w *jsonWriter) node(n node, depth int) {
	switch n.kind {
	case 0:
		w.out = append(w.out, n.text...)
		return
	case '"':
		w.quote(n.text)
		return
	}
	w.out = append(w.out, n.kind)
	for i, item := range n.items {
		if i > 0 {
			w.out = append(w.out, w.comma...)
		}
		w.line(depth)
		if n.kind == '{' {
			w.quote(n.names[i])
			w.out = append(w.out, w.colon...)
		}
		w.node(item, depth+1)
	}
	if len(n.items) > 0 {
		w.line(depth - 1)
	}
	w.out = append(w.out, n.kind+2) // { and } and [ and ] are two apart
}

func (w *jsonWriter) line(depth int) {
	if w.indent != "" {
		w.out = append(append(w.out, '\n'), strings.Repeat(w.indent, depth)...)
	}
}

var short = map[rune]string{'\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\\': `\\`}

func (w *jsonWriter) quote(s string) {
	w.out = append(w.out, '"')
	for _, r := range s {
		switch {
		case short[r] != "":
			w.out = append(w.out, short[r]...)
		case r < ' ' || w.ascii && r > '~' || strings.ContainsRune(w.chars, r):
			w.escape(r)
		case r == '"':
			w.out = append(w.out, `\"`...)
		case r == '/' && w.slash:
			w.out = append(w.out, `\/`...)
		default:
			w.out = utf8.AppendRune(w.out, r)
		}
	}
	w.out = append(w.out, '"')
}

// escape writes a character as \u and four digits, or as two such.
func (w *jsonWriter) escape(r rune) {
	format := `\u%04x`
	if w.upper {
		format = `\u%04X`
	}
	if r > 0xffff {
		r -= 0x10000
		w.out = fmt.Appendf(w.out, format, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	w.out = fmt.Appendf(w.out, format, r)
}
