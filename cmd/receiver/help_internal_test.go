package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command explains itself, and shows how it is used.
func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
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
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s says of itself %q, want a phrase without a full stop", c.CommandPath(), c.Short)
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
