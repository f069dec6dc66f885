package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxHelpColumns is the width of a line of help.
const maxHelpColumns = 100

// Each command has a help with a summary, a description, exit codes and an example; each flag has
// a description; and no line is too wide or has a phrase of docs/words.txt or docs/messages.txt.
func TestHelp(t *testing.T) {
	t.Parallel()
	banned := bannedPhrases(t)
	visited := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		visited++
		var out, talk bytes.Buffer
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := run(t.Context(), args, strings.NewReader(""), &out, &talk); code != exitDone || talk.Len() > 0 {
			t.Errorf("receiver %v = exit %d and %q on standard error, want 0 and nothing", args, code, &talk)
		}
		_, example, found := strings.Cut(out.String(), "Examples:\n")
		first, _, _ := strings.Cut(example, "\n")
		if !found || !strings.HasPrefix(strings.TrimSpace(first), "receiver ") && !strings.Contains(first, "| receiver ") {
			t.Errorf("receiver %v shows no example of a use; it begins with %q", args, first)
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > 80 {
			t.Errorf("%s: summary %q, want a phrase of at most 80 characters without a full stop", c.CommandPath(), c.Short)
		}
		if !c.HasSubCommands() && (!strings.Contains(out.String(), "\nExit codes: 0 ") || strings.HasPrefix(c.Long, "\n")) {
			t.Errorf("%s: no description with exit codes", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if len(f.Usage) < 5 {
				t.Errorf("%s --%s: description %q", c.CommandPath(), f.Name, f.Usage)
			}
		})
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(line) > maxHelpColumns+1 {
				t.Errorf("%s: more than %d columns: %q", c.CommandPath(), maxHelpColumns, line)
			}
		}
		for _, p := range banned {
			if hit := p.FindString(strings.Join(strings.Fields(out.String()), " ")); hit != "" {
				t.Errorf("%s: the help has the banned phrase %q of docs/*.txt", c.CommandPath(), hit)
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(&app{}))
	if visited < 20 {
		t.Errorf("the tree has %d commands, want at least the 20 that there were", visited)
	}
}

func bannedPhrases(t *testing.T) (all []*regexp.Regexp) {
	t.Helper()
	for _, file := range []string{"words.txt", "messages.txt"} {
		text, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if pattern, _, ok := strings.Cut(line, " -> "); ok && !strings.HasPrefix(line, "#") {
				all = append(all, regexp.MustCompile(pattern))
			}
		}
		if len(all) == 0 {
			t.Fatalf("%s bans nothing", file)
		}
	}
	return all
}
