// Package reference writes the manual of a program from the help of its commands: one page in
// Markdown, and a manual page in troff for each command. It adds no words of its own to what the
// help says, so that help and manual cannot differ.
//
// Commands, flags and help topics that are hidden are left out.
package reference

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A block is a paragraph of a help text, or lines that stay as they are.
type block struct {
	lines    []string
	verbatim bool
}

// A row is a term and what it means: a flag, an exit code or a command.
type row struct{ term, meaning string }

// visible returns a command and all below it that have a help, in the order of the help.
func visible(c *cobra.Command) []*cobra.Command {
	if !c.HasParent() {
		c.InitDefaultCompletionCmd()
		c.InitDefaultVersionFlag()
	}
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, visible(sub)...)
		}
	}
	return all
}

// description returns the text of a command without its exit codes.
func description(c *cobra.Command) []block {
	text, _, _ := strings.Cut(c.Long, exitCodes)
	if strings.TrimSpace(text) == "" {
		text = c.Short + "."
	}
	return blocks(text)
}

const exitCodes = "Exit codes: "

var exitCode = regexp.MustCompile(`(?:^|; )([0-9]+) `)

// ExitCodes returns the exit codes that the help of a command names, each with its meaning. They
// are the last paragraph: "Exit codes: 0 done; 1 failed."
func ExitCodes(c *cobra.Command) (codes, meanings []string) {
	_, text, _ := strings.Cut(c.Long, exitCodes)
	text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
	at := exitCode.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		codes, meanings = append(codes, text[m[2]:m[3]]), append(meanings, text[m[1]:end])
	}
	return codes, meanings
}

// blocks parts a text at its empty lines, and where indented lines begin and end.
func blocks(text string) (all []block) {
	var b block
	end := func() {
		if len(b.lines) > 0 {
			all = append(all, b)
		}
		b = block{}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		indented := strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")
		if line == "" || len(b.lines) > 0 && indented != b.verbatim {
			end()
		}
		if line != "" {
			b.verbatim = indented
			b.lines = append(b.lines, strings.TrimLeft(line, "\t "))
		}
	}
	end()
	return all
}

// synopsis is how a command is called.
func synopsis(c *cobra.Command) string {
	if c.HasAvailableSubCommands() {
		return c.CommandPath() + " COMMAND [flags]"
	}
	return c.UseLine()
}

// flags returns the flags of a command that those above it do not have; --help is common to all.
func flags(set *pflag.FlagSet) (rows []row) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		one := pflag.NewFlagSet("", pflag.ContinueOnError)
		one.AddFlag(f)
		term, meaning, _ := strings.Cut(strings.TrimSpace(one.FlagUsages()), "   ")
		term = strings.TrimSuffix(term, "[=true|false]") // any switch may have it
		rows = append(rows, row{term, strings.Join(strings.Fields(meaning), " ")})
	})
	return rows
}

// example returns the lines of the examples.
func example(c *cobra.Command) []string {
	lines := strings.Split(strings.TrimRight(c.Example, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return lines
}
