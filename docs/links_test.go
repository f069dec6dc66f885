package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestIndexNamesEveryPage holds docs/README.md, which is the navigation of the site: four kinds of
// pages, and each page in one of them.
func TestIndexNamesEveryPage(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^- \[[^\]]+\]\(([^)]+)\): .+[^.]$`)
	listed := map[string]bool{"README.md": true}
	for _, kind := range []string{"Tutorial", "How to", "Reference", "Explanation"} {
		text := section(t, "README.md", "## "+kind)
		pages := line.FindAllStringSubmatch(text, -1)
		if len(pages) == 0 || len(pages) != strings.Count(text, "\n- ") {
			t.Errorf("docs/README.md has under %q %d pages in %d items of its list, want each as \"- [Title](page.md): a phrase\"",
				kind, len(pages), strings.Count(text, "\n- "))
		}
		for _, m := range pages {
			if listed[m[1]] {
				t.Errorf("docs/README.md has two lines for %s", m[1])
			}
			listed[m[1]] = true
		}
	}
	for _, page := range markdown(t) {
		name, ok := strings.CutPrefix(page, "docs/")
		if ok && !listed[name] {
			t.Errorf("docs/README.md has no line for %s: add \"- [Title](%s): a phrase\" to the list of its kind", page, name)
		}
	}
}

// TestLinksLeadSomewhere follows each link of each page of the repository to its file and its
// heading, and each mention of a page in code and configuration.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages := markdown(t)
	if len(pages) < 20 {
		t.Fatalf("found %d pages: this test looks at the wrong folder", len(pages))
	}
	anchors := map[string][]string{}
	for _, page := range pages {
		anchors[page] = headings(read(t, "../"+page))
	}
	link := regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)|(?m:^\[[^\]]+\]: (\S+)$)`)
	seen := 0
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(withoutCode(read(t, "../"+page)), -1) {
			if target := m[1] + m[2]; !regexp.MustCompile(`^[a-z]+:`).MatchString(target) {
				seen++
				if wrong := follow(anchors, page, target); wrong != "" {
					t.Errorf("%s: %s", page, wrong)
				}
			}
		}
	}
	if seen < 150 {
		t.Errorf("found %d links, want at least the 150 that there were", seen)
	}
	mention := regexp.MustCompile(`\bdocs/[a-z/-]+\.md(#[\w-]+)?`)
	for _, file := range mentioning(t) {
		for _, m := range mention.FindAllString(read(t, "../"+file), -1) {
			if wrong := follow(anchors, "README.md", m); wrong != "" {
				t.Errorf("%s: %s", file, wrong)
			}
		}
	}
}

// follow says what is wrong with a link of a page; nothing if it leads somewhere.
func follow(anchors map[string][]string, page, target string) string {
	to, anchor, _ := strings.Cut(target, "#")
	if to == "" {
		to = page
	} else {
		to = path.Join(path.Dir(page), to)
	}
	if _, err := os.Stat(filepath.Join("..", to)); err != nil || strings.HasPrefix(to, "..") {
		return fmt.Sprintf("%s leads to %s, which does not exist in this repository", target, to)
	}
	if anchor != "" && !slices.Contains(anchors[to], anchor) {
		return fmt.Sprintf("%s leads to a heading that %s does not have", target, to)
	}
	return ""
}

// markdown lists the pages of the repository, from its root.
func markdown(t *testing.T) []string {
	return files(t, func(name string) bool { return path.Ext(name) == ".md" })
}

// mentioning lists the files besides pages and tests in which a page may be named.
func mentioning(t *testing.T) []string {
	return files(t, func(name string) bool {
		return slices.Contains([]string{".go", ".yaml", ".yml", ".sh", ".py", ".mjs", ".java", ".txt", ".service"}, path.Ext(name)) &&
			!strings.HasSuffix(name, "_test.go") || path.Base(name) == "Makefile"
	})
}

func files(t *testing.T, wanted func(name string) bool) (all []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(".."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(d.Name()):
			return fs.SkipDir
		case !d.IsDir() && wanted(name):
			all = append(all, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// headings returns the anchors that GitHub makes of the headings of a page.
func headings(page string) (all []string) {
	used := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#{1,6} +(.+?)\s*$`).FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")
		anchor := strings.ToLower(regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(text, ""))
		anchor = strings.ReplaceAll(anchor, " ", "-")
		used[anchor]++
		if n := used[anchor]; n > 1 {
			anchor = fmt.Sprintf("%s-%d", anchor, n-1)
		}
		all = append(all, anchor)
	}
	return all
}

var (
	indentedFence = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	codeSpan      = regexp.MustCompile("`[^`]+`")
)

// withoutCode returns a page without what is shown as it is.
func withoutCode(page string) string {
	return codeSpan.ReplaceAllString(indentedFence.ReplaceAllString(page, ""), "x")
}
