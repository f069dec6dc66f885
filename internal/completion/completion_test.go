package completion_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/completion"
)

// tree is a program with a flag of each kind and arguments.
func tree(known completion.Words, timeout time.Duration) *cobra.Command {
	root := &cobra.Command{Use: "program"}
	root.PersistentFlags().StringP("output", "o", "", "")
	jobs := &cobra.Command{Use: "jobs"}
	show := &cobra.Command{Use: "show JOB", Run: func(*cobra.Command, []string) {}}
	show.Flags().StringSlice("state", nil, "")
	show.Flags().String("source", "", "")
	add, remove := &cobra.Command{Use: "add NAME", Run: show.Run}, &cobra.Command{Use: "remove NAME", Run: show.Run}
	jobs.AddCommand(show, add, remove)
	root.AddCommand(jobs)
	completion.Register(root, known, timeout)
	return root
}

func complete(t *testing.T, root *cobra.Command, words ...string) string {
	t.Helper()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&bytes.Buffer{})
	root.SetArgs(append([]string{"__complete"}, words...))
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("__complete %q = %v", words, err)
	}
	return strings.TrimSuffix(out.String(), ":4\n") // no names of files
}

func TestRegister(t *testing.T) {
	known := completion.Words{
		"state": completion.Fixed([]string{"finished", "failed", "lost"}), "output": completion.Fixed([]string{"json"}),
		"job":  completion.Fixed([]string{"77\tcrm finished\x1b", "78", "79\x1b[2J", ""}),
		"jobs": completion.Fixed([]string{"old"}),
		"source": func(_ context.Context, c *cobra.Command) []string {
			state, _ := c.Flags().GetStringSlice("state")
			return state
		},
	}
	for line, want := range map[string]string{
		"jobs show --state f": "finished\nfailed\n", "jobs show --state lost,f": "lost,finished\nlost,failed\n", "jobs show --state x": "",
		"jobs show -o ": "json\n", "-o ": "json\n", "jobs show ": "77\tcrm finished\\x1b\n78\n", "jobs show 78 ": "",
		"jobs show --state lost --source ": "lost\n", "jobs remove ": "old\n",
	} {
		if got := complete(t, tree(known, time.Minute), strings.Split(line, " ")...); got != want {
			t.Errorf("%q completes %q, want %q", line, got, want)
		}
	}
	if got := complete(t, tree(known, time.Minute), "jobs", "add", ""); strings.Contains(got, "old") {
		t.Errorf("the name of a new thing completes %q", got)
	}
}

// A completion does not wait for an answer that does not come.
func TestRegisterGivesUp(t *testing.T) {
	hang := func(context.Context, *cobra.Command) []string {
		<-t.Context().Done()
		return nil
	}
	if got := complete(t, tree(completion.Words{"job": hang}, time.Millisecond), "jobs", "show", ""); got != "" {
		t.Errorf("a job completes %q, want nothing", got)
	}
}
