package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the configuration file; a YAML parser's work grows faster
// than its input.
const maxFile = 1 << 20

var (
	sourceName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	// printable keys may be repeated in a fault. Anything else may be a value
	// that slipped into a key's place, as in {token:secret}.
	printable  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)
	yamlError  = regexp.MustCompile(`^yaml: (?:line \d+: )?(.*)$`)
	lostAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced$`)
)

// readFile returns the file as a layer. It is false when there is nothing to
// go on with: the file is unreadable or not YAML.
func (l *loader) readFile(path string) (map[string]any, bool) {
	if path == "" {
		return nil, true
	}
	text, err := readBounded(path, maxFile)
	if err != nil {
		l.faultAt(origin{path, 0}, "", "cannot be read: "+err.Error(), "")
		return nil, false
	}
	root, err := l.document(text)
	if err != nil {
		line, wrong := syntax(err, text)
		l.faultAt(origin{path, line}, "", wrong, "")
		return nil, false
	}
	layer, _ := l.read(schema, "", root, 1).(map[string]any)
	return layer, true
}

// document parses the first document and complains about any other. A file
// without content is nil.
func (l *loader) document(text []byte) (*yaml.Node, error) {
	var first, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&first); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	switch err := d.Decode(&second); {
	case err == nil:
		l.faultAt(origin{l.file, second.Line}, "", "a second YAML document begins here and would be ignored", "one document")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return first.Content[0], nil
}

// syntax says where and why text is not YAML, repeating nothing of it: the one
// message of the library that does is about a value that begins with *.
func syntax(err error, text []byte) (line int, wrong string) {
	if m := lostAnchor.FindStringSubmatch(err.Error()); m != nil {
		before, _, _ := bytes.Cut(text, []byte("*"+m[1]))
		return 1 + bytes.Count(before, []byte("\n")), "is not YAML: a value that begins with * must be quoted"
	}
	line = brokenLine(err, text)
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		return line, "is not YAML: " + m[1]
	}
	return line, "is not YAML"
}

// brokenLine is the first line after which the library says what it says of the whole
// text. The line that it names is rather where the part with the fault in it begins, or
// the one before, and with a wrong indentation that can be far away.
func brokenLine(err error, text []byte) int {
	lines := bytes.SplitAfter(text, []byte("\n"))
	return 1 + sort.Search(len(lines)-1, func(n int) bool {
		short := parse(bytes.Join(lines[:n+1], nil))
		return short != nil && short.Error() == err.Error()
	})
}

// parse reads all documents of a text.
func parse(text []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		if err := d.Decode(new(yaml.Node)); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// read turns a node into part of a layer: maps, lists and leaves as the schema
// has them; nil for what was not given or is wrong. line is where n begins with
// its key.
func (l *loader) read(p *part, path string, n *yaml.Node, line int) any {
	l.at[path] = origin{l.file, line}
	if n == nil || !l.plain(path, n) || isNull(n) {
		return nil
	}
	switch p.shape {
	case sectionShape:
		return l.readSection(p, path, n)
	case namedShape:
		return l.readNamed(p, path, n)
	case listShape:
		return l.readList(p, path, n)
	}
	return l.readLeaf(p, path, n)
}

// plain refuses the parts of YAML that make one text mean another.
func (l *loader) plain(path string, n *yaml.Node) bool {
	wrong := ""
	switch {
	case n.Kind == yaml.AliasNode:
		wrong = "is a YAML alias (*…); they are not supported"
	case n.Anchor != "":
		wrong = "begins with a YAML anchor (&…); they are not supported"
	case n.Style&yaml.TaggedStyle != 0:
		wrong = "begins with a YAML tag (!…); they are not supported"
	}
	if wrong != "" {
		l.spoil(origin{l.file, n.Line}, path, wrong, "the value itself, in quotes if it begins with this character")
	}
	return wrong == ""
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func (l *loader) readSection(p *part, path string, n *yaml.Node) any {
	if n.Kind != yaml.MappingNode {
		l.wrongKind(path, n, "a mapping with the keys "+strings.Join(p.keys(), ", "))
		return nil
	}
	m := map[string]any{}
	for key, value := range l.pairs(path, n) {
		c := p.find(key.Value)
		if c == nil {
			l.unknownKey(p, path, key)
		} else if v := l.read(c, join(path, c.key), value, key.Line); v != nil {
			m[c.key] = v
		}
	}
	return m
}

func (l *loader) unknownKey(p *part, path string, key *yaml.Node) {
	l.faultAt(origin{l.file, key.Line}, join(path, shown(key.Value)),
		"unknown key"+meant(nearest(key.Value, p.keys())), strings.Join(p.keys(), ", "))
}

func (l *loader) readNamed(p *part, path string, n *yaml.Node) any {
	if n.Kind != yaml.MappingNode {
		l.wrongKind(path, n, "a mapping from names to settings")
		return nil
	}
	m := map[string]any{}
	for key, value := range l.pairs(path, n) {
		at := join(path, shown(key.Value))
		v := l.read(p.elem, at, value, key.Line)
		if !sourceName.MatchString(key.Value) {
			l.faultAt(l.at[at], at, "is not a valid source name", "1 to 32 of a-z 0-9 -")
			continue
		}
		if v == nil {
			v = map[string]any{}
		}
		m[key.Value] = v
	}
	return m
}

func (l *loader) readList(p *part, path string, n *yaml.Node) any {
	if n.Kind != yaml.SequenceNode {
		l.wrongKind(path, n, "a list")
		return nil
	}
	list := []any{}
	for i, entry := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		v := l.read(p.elem, at, entry, entry.Line)
		if v == nil && p.elem.shape == sectionShape {
			v = map[string]any{} // Keeps the place: paths count entries.
		} else if v == nil {
			l.fault(at, "is empty", "a value")
			continue
		}
		if entry, ok := v.(map[string]any); ok {
			l.complete(p.elem, at, entry)
		}
		list = append(list, v)
	}
	return list
}

// complete adds the defaults that an entry of a list does not give: those of all other places are a
// layer of their own.
func (l *loader) complete(p *part, path string, entry map[string]any) {
	for _, c := range p.parts {
		if text, ok := c.tag.Lookup("default"); ok && entry[c.key] == nil {
			entry[c.key] = l.leaf(c, join(path, c.key), text)
		}
	}
}

func (l *loader) readLeaf(p *part, path string, n *yaml.Node) any {
	if n.Kind != yaml.ScalarNode {
		l.wrongKind(path, n, "one value")
		return nil
	}
	if p.typ == secretType {
		if name, ok := referredVariable(n.Value); ok {
			l.secretVars[name] = true
		}
	}
	return l.leaf(p, path, n.Value)
}

// pairs yields the keys and values of a mapping, each key once.
func (l *loader) pairs(path string, n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		lines := map[string]int{}
		for pair := range slices.Chunk(n.Content, 2) {
			key, value := pair[0], pair[1]
			if l.key(path, key, lines) && !yield(key, value) {
				return
			}
		}
	}
}

// key says whether a key is plain text and new; lines has those before it.
func (l *loader) key(path string, key *yaml.Node, lines map[string]int) bool {
	at := join(path, shown(key.Value))
	if key.Kind != yaml.ScalarNode && key.Kind != yaml.AliasNode {
		l.wrongKind(at, key, "a key of plain text")
		return false
	}
	if !l.plain(at, key) {
		return false
	}
	if first, twice := lines[key.Value]; twice {
		l.faultAt(origin{l.file, key.Line}, at, fmt.Sprintf("is a duplicate of line %d", first), "each key once")
		return false
	}
	lines[key.Value] = key.Line
	return true
}

// wrongKind tells what was found without repeating it.
func (l *loader) wrongKind(path string, n *yaml.Node, allowed string) {
	found := map[yaml.Kind]string{yaml.MappingNode: "is a mapping", yaml.SequenceNode: "is a list"}[n.Kind]
	if found == "" {
		found = "is a single value"
	}
	o, ok := l.at[path]
	if !ok {
		o = origin{l.file, n.Line}
	}
	l.spoil(o, path, found, allowed)
}

// shown is a key as a fault may repeat it.
func shown(key string) string {
	if printable.MatchString(key) {
		return key
	}
	return "(a key that is not a plain word)"
}
