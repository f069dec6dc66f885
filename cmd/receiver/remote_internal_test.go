package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// With --url a command asks the receiver there, or says that it cannot; it never works here.
func TestEveryCommandHeedsTheAddress(t *testing.T) {
	t.Parallel()
	asking := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			visit(sub)
		}
		name := commandName(c)
		if c.HasSubCommands() || name == "contexts add" || name == "conformance" { // each has a use of its own for --url
			return
		}
		var said bytes.Buffer
		for _, args := range []string{"", " JOBS/1", " JOBS/1 JOBS/2", " --source s", " --source s 7", " --object o --file /dev/null --source s"} {
			// Nothing listens there.
			line := append([]string{"--url", "http://127.0.0.1:1"}, strings.Fields(name+args)...)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			code := run(ctx, line, strings.NewReader(""), io.Discard, &said)
			cancel()
			if code == exitDone {
				t.Errorf("receiver %v = exit %d, want an error", line, code)
			}
		}
		want := "`receiver " + name + "` cannot ask a receiver by HTTP"
		if byHTTP[name] {
			asking++
			want = "asking the receiver at http://127.0.0.1:1"
		}
		if !strings.Contains(said.String(), want) {
			t.Errorf("receiver %s says %s, want %s", name, &said, want)
		}
	}
	visit(newRoot(&app{}))
	if asking != len(byHTTP) {
		t.Errorf("%d commands ask by HTTP, want the %d of byHTTP", asking, len(byHTTP))
	}
}
