package docs_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxColumns is the width of a line of comment, with tabs of four.
const maxColumns = 100

// TestWords holds the comments of all Go files and the text of all pages against words.txt, and
// the lines of comments against their width.
func TestWords(t *testing.T) {
	banned := phrases(t, "words.txt")
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(d.Name()):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(name, ".gen.go"):
			return nil
		}
		var texts []string
		switch path.Ext(name) {
		case ".go":
			texts = comments(t, name)
		case ".md":
			texts = paragraphs(read(t, "../"+name))
		}
		for _, text := range texts {
			for _, p := range banned {
				if hit := p.pattern.FindString(text); hit != "" {
					t.Errorf("%s: %s: write instead: %s", name, quote(hit), p.instead)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type phrase struct {
	pattern *regexp.Regexp
	instead string
}

func phrases(t *testing.T, file string) (all []phrase) {
	t.Helper()
	for line := range strings.Lines(read(t, file)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		pattern, instead, ok := strings.Cut(strings.TrimSpace(line), " -> ")
		if !ok {
			t.Fatalf("%s: %q has no \" -> \"", file, line)
		}
		all = append(all, phrase{regexp.MustCompile(pattern), instead})
	}
	if len(all) == 0 {
		t.Fatalf("%s bans nothing", file)
	}
	return all
}

// comments returns the text of each comment of a Go file in one line, and reports lines that are
// too wide. A line without a space, such as an address, cannot be wrapped.
func comments(t *testing.T, name string) (texts []string) {
	t.Helper()
	source := read(t, "../"+name)
	for line := range strings.Lines(source) {
		text := strings.TrimSpace(line)
		columns := len([]rune(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")))
		if words, ok := strings.CutPrefix(text, "// "); ok && columns > maxColumns && strings.Contains(words, " ") {
			t.Errorf("%s: a comment of more than %d columns: %s", name, maxColumns, quote(text))
		}
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", name), source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range f.Comments {
		for _, text := range strings.Split(group.Text(), "\n\n") {
			texts = append(texts, strings.Join(strings.Fields(text), " "))
		}
	}
	return texts
}

var (
	fenced = regexp.MustCompile("(?ms)^```.*?^```$")
	inline = regexp.MustCompile("`[^`]*`|\\]\\([^)]*\\)")
)

// paragraphs returns the paragraphs and rows of a page in one line each, without code.
func paragraphs(page string) (texts []string) {
	page = fenced.ReplaceAllString(page, "")
	page = strings.ReplaceAll(page, "\n- ", "\n\n")
	page = strings.ReplaceAll(page, "\n|", "\n\n|")
	for _, text := range strings.Split(page, "\n\n") {
		if !strings.HasPrefix(text, "    ") && !strings.HasPrefix(text, "#") {
			texts = append(texts, strings.Join(strings.Fields(inline.ReplaceAllString(text, "X")), " "))
		}
	}
	return texts
}

// quote returns the beginning of a text in quotes.
func quote(text string) string {
	r := []rune(text)
	return "\"" + string(r[:min(len(r), 80)]) + "\""
}

// TestGlossary holds the glossary of CONTRIBUTING.md: at most 60 words, each once and with a
// meaning, in alphabetical order.
func TestGlossary(t *testing.T) {
	var words []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z ]+) \| .+ \|$`).FindAllStringSubmatch(section(t, "../CONTRIBUTING.md", "## Words"), -1) {
		words = append(words, m[1])
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "word" })
	if len(words) < 40 || len(words) > 60 {
		t.Errorf("the glossary has %d words, want at most 60 and at least 40", len(words))
	}
	for i := 1; i < len(words); i++ {
		if words[i] <= words[i-1] {
			t.Errorf("the glossary has %q after %q, want each once, in alphabetical order", words[i], words[i-1])
		}
	}
}
