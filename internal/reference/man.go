package reference

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// WriteMan writes a manual page of section 1 for each command into a folder, which it creates:
// receiver.1, receiver-jobs.1, receiver-jobs-list.1. The pages have the given date.
func WriteMan(root *cobra.Command, folder string, date time.Time) error {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // for everybody, as the pages are
		return err
	}
	for _, c := range visible(root) {
		path := filepath.Join(folder, name(c)+".1")
		if err := os.WriteFile(path, []byte(man(c, date)), 0o644); err != nil { //nolint:gosec // a page is for everybody
			return err
		}
	}
	return nil
}

// name is that of the page of a command.
func name(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func man(c *cobra.Command, date time.Time) string {
	var b strings.Builder
	program := c.Root()
	fmt.Fprintf(&b, ".TH %s 1 %s \"%s %s\" \"%[3]s manual\"\n", roff(strings.ToUpper(name(c))), date.UTC().Format(time.DateOnly), roff(program.Name()), roff(program.Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name(c)), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n.SH DESCRIPTION\n", bold(synopsis(c), c.CommandPath()))
	for i, block := range description(c) {
		text := roff(strings.Trim(strings.Join(block.lines, "\n"), "# "))
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if block.verbatim {
			text = ".EX\n" + text + "\n.EE"
		}
		b.WriteString(text + "\n")
	}
	var commands []row
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			commands = append(commands, row{name(sub), sub.Short})
		}
	}
	list(&b, "COMMANDS", commands, "(1)")
	list(&b, "OPTIONS", append(flags(c.NonInheritedFlags()), row{"-h, --help", "help for " + c.CommandPath()}), "")
	if c.HasInheritedFlags() {
		list(&b, "GLOBAL OPTIONS", flags(c.InheritedFlags()), "")
	}
	codes, meanings := ExitCodes(c)
	var rows []row
	for i, code := range codes {
		rows = append(rows, row{code, meanings[i]})
	}
	list(&b, "EXIT STATUS", rows, "")
	if c.HasExample() {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.EX\n%s\n.EE\n", roff(strings.Join(example(c), "\n")))
	}
	if c.HasParent() {
		fmt.Fprintf(&b, ".SH SEE ALSO\n\\fB%s\\fR(1)", roff(name(c.Parent())))
		if c.Parent() != program {
			fmt.Fprintf(&b, ",\n\\fB%s\\fR(1)", roff(program.Name()))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// list writes a section of terms with their meanings, and nothing where there are none.
func list(b *strings.Builder, title string, rows []row, after string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for _, r := range rows {
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR%s\n%s\n", roff(r.term), after, roff(r.meaning))
	}
}

// bold writes the beginning of a text in bold type.
func bold(text, beginning string) string {
	return `\fB` + roff(beginning) + `\fR` + roff(strings.TrimPrefix(text, beginning))
}

var roffed = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "\"", `\(dq`)

// roff escapes a text, so that it is shown as it is and no line of it is a request.
func roff(text string) string {
	text = roffed.Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return strings.ReplaceAll(text, "\n.", "\n\\&.")
}
