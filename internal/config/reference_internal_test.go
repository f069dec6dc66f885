package config

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"receiver/internal/reference"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

const (
	manualFile = "../../config.yaml"
	manualPage = "../../docs/configuration.md"

	manualBegins = `# Configuration

For operators of a receiver.
It lists each setting with its type, default, environment variable and meaning.
Read it to look up one setting; [config.yaml](../config.yaml) has the same as a file to start from.

<!-- Written by ` + "`go test ./internal/config -run TestReference -update`" + ` from the comments of config.yaml and the schema. -->

`
	// least has what a source, a sink and an anchor must have: all else shows its default.
	least = `
sources: {name: {signature_keys: [{value: 0123456789abcdef}], watch: {objects: [{object: contact}]}}}
sinks: [{name: orders, url: "https://orders.example.com", secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]
audit: {key: "file:log.key", anchors: [{nats: {urls: ["tls://nats.example.com:4222"]}}]}
`
)

// needed are the settings without a default.
var needed = []string{
	"sources.NAME.signature_keys", "sources.NAME.signature_keys[].value", "sources.NAME.watch.objects[].object",
	"sinks[].name", "sinks[].url", "sinks[].secret",
}

// The page says of each setting what config.yaml says in its comments and the schema in its tags.
func TestReference(t *testing.T) {
	want := manualBegins + describeAll(t)
	if *update {
		if err := os.WriteFile(manualPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(manualPage)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what config.yaml and the schema say: write it again by\n\tgo test ./internal/config -run TestReference -update", manualPage)
	}
}

func describeAll(t *testing.T) string {
	text, err := os.ReadFile(manualFile)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]note{}
	readNotes(t, uncommented(string(text)), said)
	readNotes(t, string(text), said)
	defaults := map[string]string{}
	readDefaults(t, defaults)
	all := places(schema, "", "")
	links := linker(all)
	var b strings.Builder
	top, _, _ := strings.Cut(string(text), "\n\n")
	top = strings.ReplaceAll(strings.ReplaceAll(top, "\n# ", "\n"), "\n#", "\n")
	_, top, _ = strings.Cut(top, "\n") // its title
	fmt.Fprintf(&b, "%s## All settings\n\n%s", prose(top, links), index(all))
	for _, p := range all {
		n, ok := said[p.path]
		if !ok {
			n = note{with: p.above}
		}
		n.with = strings.TrimSuffix(n.with, "[]")
		level := "###"
		if !strings.Contains(p.path, ".") && !strings.Contains(p.path, "[") {
			level = "##"
		}
		fmt.Fprintf(&b, "%s `%s`\n\n%s", level, p.path, p.facts(t, defaults[p.path]))
		if n.with != "" {
			fmt.Fprintf(&b, "See [`%s`](#%s).\n\n", n.with, slug(n.with))
		} else {
			b.WriteString(prose(n.text, links))
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// A place is a setting or a section as the page shows it.
type place struct {
	path  string // such as sources.NAME.hub or sinks[].name
	above string // the path of its section
	env   string // the environment variable; empty if there is none
	part  *part
}

// places lists the schema below a section, in its order.
func places(p *part, path, env string) (all []place) {
	for _, c := range p.parts {
		at := place{join(path, c.key), path, env + envName(c.key), c}
		if strings.Contains(path, "[]") {
			at.env = ""
		}
		switch {
		case c.shape == namedShape:
			below := places(c.elem, at.path+".NAME", at.env+"_NAME_")
			at.env = ""
			all = append(append(all, at), below...)
		case c.shape == listShape && c.elem.shape == sectionShape:
			if !fromText(c.elem) {
				at.env = ""
			}
			all = append(append(all, at), places(c.elem, at.path+"[]", "")...)
		case c.shape == sectionShape:
			below := places(c, at.path, at.env+"_")
			at.env = ""
			all = append(append(all, at), below...)
		default:
			all = append(all, at)
		}
	}
	return all
}

// fromText reports whether a text is enough for an entry of a list: one field is short, and no
// other one is a secret.
func fromText(p *part) bool {
	return p.short() != p && !slices.ContainsFunc(p.parts, func(c *part) bool { return c != p.short() && c.typ == secretType })
}

// facts are the line below the heading; none for a section.
func (p place) facts(t *testing.T, value string) string {
	if p.part.shape == sectionShape {
		return ""
	}
	if text, ok := p.part.tag.Lookup("default"); ok {
		said, wrong := new(loader).parse(p.part, text)
		if wrong != nil || show(said) != value {
			t.Errorf("%s is %q in a configuration without it, but the default of its tag is %q", p.path, value, text)
		}
		value = text
	}
	text := kindOf(p.part)
	switch {
	case slices.Contains(needed, p.path):
		text += ". Required"
	default:
		text += ". Default: `" + cmp.Or(value, `""`) + "`"
	}
	if p.env != "" {
		text += ". Environment: `" + envPrefix + p.env + "`"
		if p.part.shape == listShape && p.part.elem.shape == sectionShape {
			text += ", the `" + p.part.elem.short().key + "` of each"
		}
	}
	return "*" + text + ".*\n\n"
}

var kinds = map[reflect.Type]string{
	secretType:                       "secret",
	reflect.TypeFor[time.Time]():     "time",
	reflect.TypeFor[time.Duration](): "duration",
	reflect.TypeFor[ByteSize]():      "size",
	reflect.TypeFor[Path]():          "path",
	reflect.TypeFor[int]():           "number",
	reflect.TypeFor[bool]():          "true or false",
	reflect.TypeFor[string]():        "text",
}

func kindOf(p *part) string {
	kind := kinds[p.typ]
	if choices := p.tag.Get("oneof"); choices != "" {
		kind = "`" + strings.ReplaceAll(choices, ",", "`, `") + "`"
	}
	if p.tag.Get("max") != "" {
		kind += ", `" + p.tag.Get("min") + "` to `" + p.tag.Get("max") + "`"
	}
	switch {
	case p.shape == namedShape:
		return "sections by name"
	case p.shape == listShape && p.elem.shape == sectionShape:
		return "list of sections"
	case p.shape == listShape:
		return "list: " + kindOf(p.elem)
	}
	return kind
}

// index is a table of all settings, for those who configure by variables.
func index(all []place) string {
	var b strings.Builder
	b.WriteString("| setting | environment variable |\n| --- | --- |\n")
	for _, p := range all {
		variable := ""
		if p.env != "" {
			variable = "`" + envPrefix + p.env + "`"
		}
		if p.part.shape != sectionShape {
			fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", p.path, slug(p.path), variable)
		}
	}
	return b.String() + "\n"
}

// slug is the anchor that GitHub makes of a heading.
func slug(heading string) string {
	return strings.ToLower(regexp.MustCompile(`[^\w -]`).ReplaceAllString(heading, ""))
}

// A note is the comment of a key, or the key whose comment is for this one too.
type note struct{ text, with string }

// uncommented returns config.yaml with its examples in the place of the empty values.
func uncommented(text string) string {
	before, rest, _ := strings.Cut(text, "\nsources: {}\n")
	example, after, _ := strings.Cut(rest, "\n\n")
	text = before + "\nsources:\n" + regexp.MustCompile(`(?m)^#`).ReplaceAllString(example, "") + "\n\n" + after
	for _, key := range []string{"anchors", "sinks"} {
		found := regexp.MustCompile(`(?ms)^( *)#   ` + key + `:\n(.*?)^ *` + key + `: \[\]\n`).FindStringSubmatchIndex(text)
		if found == nil {
			continue
		}
		indent := text[found[2]:found[3]]
		lines := regexp.MustCompile(`(?m)^`+indent+`#   `).ReplaceAllString(text[found[4]:found[5]], indent)
		text = text[:found[0]] + indent + key + ":\n" + lines + text[found[1]:]
	}
	return text
}

// readNotes adds the comments of all keys of a text, by path.
func readNotes(t *testing.T, text string, to map[string]note) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("config.yaml with its examples: %v\n%s", err, text)
	}
	lines := strings.Split(text, "\n")
	walk(doc.Content[0], "", func(path, above string, key, before, _ *yaml.Node) {
		n := note{with: above}
		end := key.Line - 1
		begin := end
		for begin > 0 && strings.HasPrefix(strings.TrimLeft(lines[begin-1], " "), "#") {
			begin--
		}
		switch {
		case begin < end:
			indent := strings.IndexByte(lines[begin], '#')
			for _, line := range lines[begin:end] {
				n.text += strings.TrimPrefix(line[indent+1:], " ") + "\n"
			}
			n.with = ""
		case before != nil && before.Line == key.Line-1:
			n.with = strings.TrimSuffix(path, key.Value) + before.Value
			n.with = cmp.Or(to[n.with].with, n.with)
		}
		if old, ok := to[path]; !ok || strings.Contains(n.text, old.text) {
			to[path] = n
		}
	})
}

// readDefaults adds the value that each setting has in a configuration without it.
func readDefaults(t *testing.T, to map[string]string) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"config.yaml": least, "log.key": "PRIVATE+KEY+receiver+b3caf33f+AQAB",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(Options{Path: filepath.Join(folder, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	with, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	plain := Default()
	without, err := plain.Effective()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{with, without} {
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		walk(doc.Content[0], "", func(path, _ string, _, _, value *yaml.Node) {
			switch {
			case value.Kind == yaml.ScalarNode:
				to[path] = value.Value
			case value.Kind == yaml.SequenceNode:
				to[path] = "[]"
			default:
				to[path] = "{}"
			}
		})
	}
}

// walk visits each key of a document with the key before it in the same section.
func walk(n *yaml.Node, path string, visit func(path, above string, key, before, value *yaml.Node)) {
	if n.Kind == yaml.SequenceNode {
		for _, entry := range n.Content {
			walk(entry, path+"[]", visit)
		}
		return
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	var before *yaml.Node
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		if path == sourcesKey {
			at = path + ".NAME"
		} else {
			visit(at, path, key, before, value)
		}
		walk(value, at, visit)
		before = key
	}
}

// linker returns what makes links of the names of settings and pages in a text.
func linker(all []place) func(text string) string {
	word := regexp.MustCompile("`?\\b[a-z_]+(\\.[a-z_]+)+\\b`?")
	page := regexp.MustCompile(`docs/([a-z/-]+\.md)`)
	return func(text string) string {
		text = word.ReplaceAllStringFunc(text, func(name string) string {
			path := strings.Trim(name, "`")
			if slices.ContainsFunc(all, func(p place) bool { return p.path == path }) {
				return "[`" + path + "`](#" + slug(path) + ")"
			}
			return name
		})
		return page.ReplaceAllString(text, "[$1]($1)")
	}
}

// prose writes a comment as Markdown; indented lines stay as they are.
func prose(text string, links func(string) string) string {
	var b strings.Builder
	verbatim := false
	flip := func(to bool) {
		if to != verbatim {
			b.WriteString(map[bool]string{true: "\n```text\n", false: "```\n\n"}[to])
		}
		verbatim = to
	}
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, "  ") {
			flip(true)
			b.WriteString(strings.TrimPrefix(line, "  ") + "\n")
			continue
		}
		flip(false)
		b.WriteString(links(reference.Plain(line)) + "\n")
	}
	flip(false)
	return strings.TrimRight(regexp.MustCompile("\n{2,}").ReplaceAllString(b.String(), "\n\n"), "\n") + "\n\n"
}
