package reference

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Markdown returns the reference of all commands: a list of them, the flags that all have, and a
// section for each command. The caller writes the beginning of the page.
func Markdown(root *cobra.Command) string {
	var b strings.Builder
	all := visible(root)
	list := make([]row, 0, len(all))
	for _, c := range all[1:] {
		list = append(list, row{fmt.Sprintf("[`%s`](#%s)", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-")), Plain(c.Short)})
	}
	table(&b, "## All commands", "command", list)
	for _, c := range all {
		section(&b, c)
	}
	return b.String()
}

func section(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "## %s\n\n```text\n%s\n```\n\n", c.CommandPath(), synopsis(c))
	for _, block := range description(c) {
		text := strings.Join(block.lines, "\n")
		switch {
		case block.verbatim:
			fmt.Fprintf(b, "```text\n%s\n```\n\n", text)
		case strings.HasPrefix(text, "#"): // a heading within a help text
			fmt.Fprintf(b, "**%s**\n\n", Plain(strings.Trim(text, "# ")))
		default:
			fmt.Fprintf(b, "%s\n\n", Plain(text))
		}
	}
	own := c.NonInheritedFlags()
	if !c.HasParent() {
		own = c.LocalNonPersistentFlags()
		table(b, "Flags of all commands, besides `--help`:", "flag", terms(c.PersistentFlags()))
	}
	table(b, "Flags:", "flag", terms(own))
	codes, meanings := ExitCodes(c)
	var rows []row
	for i, code := range codes {
		rows = append(rows, row{code, Plain(meanings[i])})
	}
	table(b, "", "exit code", rows)
	if c.HasExample() {
		fmt.Fprintf(b, "```sh\n%s\n```\n\n", strings.Join(example(c), "\n"))
	}
}

// terms returns flags as rows of a table.
func terms(set *pflag.FlagSet) []row {
	rows := flags(set)
	for i, r := range rows {
		rows[i] = row{"`" + strings.Replace(r.term, ", --", "`, `--", 1) + "`", Plain(r.meaning)}
	}
	return rows
}

// table writes nothing where there are no rows.
func table(b *strings.Builder, title, first string, rows []row) {
	if len(rows) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(b, "%s\n\n", title)
	}
	fmt.Fprintf(b, "| %s | meaning |\n| --- | --- |\n", first)
	for _, r := range rows {
		fmt.Fprintf(b, "| %s | %s |\n", strings.ReplaceAll(r.term, "|", `\|`), r.meaning)
	}
	b.WriteString("\n")
}

var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", "*", `\*`, "|", `\|`, "[", `\[`)

// Plain escapes a text for Markdown, so that it is shown as it is. Words in backquotes stay code.
func Plain(text string) string {
	parts := strings.Split(text, "`")
	for i := range parts {
		if i%2 == 0 || i == len(parts)-1 {
			parts[i] = escaped.Replace(parts[i])
		}
	}
	return strings.Join(parts, "`")
}
