package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"receiver/internal/cli"
	"receiver/internal/reference"
)

var update = flag.Bool("update", false, "write docs/cli.md, and the exit codes in docs/reference.md")

const (
	commandsPage  = "../../docs/cli.md"
	referencePage = "../../docs/reference.md"
	// generated is the note in a page that is written by a test, or before and after a part of it.
	generated = "<!-- Written by `go test ./cmd/receiver -run TestReference -update`; the words are those of the commands' help. -->\n"
	untilHere = "<!-- Until here. -->\n"

	pageBegins = `# Commands

For everybody who types a command of receiver.
It lists each command with its flags, exit codes and examples: what ` + "`--help`" + ` prints.
Read it to find a command or a flag; the tutorial and the how-to pages say when to use which.

` + generated + "\n"
)

// The pages say of the commands what their help says.
func TestReference(t *testing.T) {
	root := newRoot(&app{})
	holdPage(t, commandsPage, pageBegins+strings.TrimRight(reference.Markdown(root), "\n")+"\n")
	text, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), generated)
	_, after, ended := strings.Cut(rest, untilHere)
	if !ok || !ended {
		t.Fatalf("%s has no place for the exit codes, between\n%s and\n%s", referencePage, generated, untilHere)
	}
	holdPage(t, referencePage, before+generated+"\n"+exitCodeTables(root)+"\n"+untilHere+after)
}

// holdPage compares a page with the one wanted, and writes it with -update.
func holdPage(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if string(got) == want {
		return
	}
	have, need := strings.Split(string(got), "\n"), strings.Split(want, "\n")
	line := 0
	for line < len(have)-1 && line < len(need)-1 && have[line] == need[line] {
		line++
	}
	t.Errorf("%s:%d: got %q, want %q: the help of the commands has changed; write the page again by\n\tgo test ./cmd/receiver -run TestReference -update",
		path, line+1, have[line], need[line])
}

// exitCodeTables are the meanings of the exit codes, in general and of the commands that have
// meanings of their own.
func exitCodeTables(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("| code | meaning |\n| --: | --- |\n")
	codes, meanings := reference.ExitCodes(root)
	for i, code := range codes {
		fmt.Fprintf(&b, "| %s | %s |\n", code, reference.Plain(meanings[i]))
	}
	b.WriteString("\n| command | 0 | 1 | 2 | 3 |\n| --- | --- | --- | --- | --- |\n")
	common := &cobra.Command{Long: cli.UsualExitCodes}
	_, usual := reference.ExitCodes(common)
	for _, c := range everyCommand(root) {
		codes, meanings := reference.ExitCodes(c)
		if c == root || len(codes) == 0 || slices.Equal(meanings, usual) {
			continue
		}
		cells := []string{"", "", "", ""}
		for i, code := range codes {
			cells[code[0]-'0'] = reference.Plain(meanings[i])
		}
		fmt.Fprintf(&b, "| [`%s`](cli.md#%s) | %s |\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), strings.Join(cells, " | "))
	}
	return b.String()
}

func everyCommand(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, everyCommand(sub)...)
	}
	return all
}

// The help of the program names the exit codes that there are, and that of a command those that it
// has: a command that answers a question cannot know the answer when it fails.
func TestHelpNamesTheExitCodes(t *testing.T) {
	t.Parallel()
	root := newRoot(&app{})
	var all []string
	for _, code := range []int{exitDone, exitFailed, exitUsage, exitUnknown} {
		all = append(all, fmt.Sprint(code))
	}
	if codes, _ := reference.ExitCodes(root); !slices.Equal(codes, all) {
		t.Errorf("the help of receiver names the exit codes %v, want %v", codes, all)
	}
	for _, c := range everyCommand(root) {
		codes, meanings := reference.ExitCodes(c)
		if c.HasSubCommands() {
			continue
		}
		if !slices.IsSorted(codes) || len(slices.Compact(slices.Clone(codes))) != len(codes) || slices.Contains(meanings, "") {
			t.Errorf("%s: the help names the exit codes %v, %q; want each once, in order, with a meaning", c.CommandPath(), codes, meanings)
		}
		if c.Annotations[cli.Question] != "" && !slices.Contains(codes, all[exitUnknown]) {
			t.Errorf("%s ends with %d when it fails, which its help does not say", c.CommandPath(), exitUnknown)
		}
	}
}
