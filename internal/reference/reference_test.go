package reference_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/reference"
)

// program has what is hard to show as it is: each character with a meaning in Markdown or troff.
func program() *cobra.Command {
	root := &cobra.Command{Use: "tool", Short: "Do all", Long: "tool does <all>.\n\nExit codes: 0 done; 1 failed, or\nno; 2 wrong.", Version: "v1.2"}
	root.PersistentFlags().StringP("output", "o", "table", "table or\njson")
	group := &cobra.Command{Use: "group", Short: "A group of a|b", Example: "  tool group one"}
	one := &cobra.Command{
		Use: "one FILE", Short: "Do one", Run: func(*cobra.Command, []string) {},
		Long:    "one takes 'jobs.*.*' and [x](y), `a*b` stays.\n.so is a line\n'br too, C:\\n\n\n  first   line\n  .second line\n\nLast -- words.\n\nExit codes: 0 yes; 3 not known.",
		Example: "  tool group one 'a*' | less\n  .hidden \\\n    --since 24h",
	}
	one.Flags().String("since", "", "a `time`, or | all")
	one.Flags().Bool("all", false, "a switch")
	one.Flags().Bool("secret", false, "nobody sees it")
	_ = one.Flags().MarkHidden("secret")
	hidden := &cobra.Command{Use: "hidden", Short: "Not for people", Hidden: true, Run: func(*cobra.Command, []string) {}}
	group.AddCommand(one)
	root.AddCommand(group, hidden, reference.Command())
	return root
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	got := reference.Markdown(program())
	for _, want := range []string{
		"| [`tool group one`](#tool-group-one) | Do one |\n",
		"| [`tool group`](#tool-group) | A group of a\\|b |\n",
		"## tool\n\n```text\ntool COMMAND [flags]\n```\n\ntool does &lt;all>.\n\nFlags of all commands, besides `--help`:\n\n| flag | meaning |\n| --- | --- |\n" +
			"| `-o`, `--output string` | table or json (default \"table\") |\n\nFlags:\n\n",
		"| exit code | meaning |\n| --- | --- |\n| 0 | done |\n| 1 | failed, or no |\n| 2 | wrong |\n\n",
		"## tool group\n\n```text\ntool group COMMAND [flags]\n```\n\nA group of a\\|b.\n\n```sh\ntool group one\n```\n\n",
		"## tool group one\n\n```text\ntool group one FILE [flags]\n```\n\none takes 'jobs.\\*.\\*' and \\[x](y), `a*b` stays.\n.so is a line\n'br too, C:\\n\n\n" +
			"```text\nfirst   line\n.second line\n```\n\nLast -- words.\n\nFlags:\n\n| flag | meaning |\n| --- | --- |\n| `--all` | a switch |\n| `--since time` | a time, or \\| all |\n\n" +
			"| exit code | meaning |\n| --- | --- |\n| 0 | yes |\n| 3 | not known |\n\n```sh\ntool group one 'a*' | less\n.hidden \\\n  --since 24h\n```\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Markdown() has no\n%s\nit is\n%s", want, got)
		}
	}
	for _, no := range []string{"hidden`", "secret", "docs man", "tool help"} {
		if strings.Contains(got, no) {
			t.Errorf("Markdown() has %q, which no help shows", no)
		}
	}
}

func TestWriteMan(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "share", "man1")
	if err := reference.WriteMan(program(), folder, time.Date(2026, 12, 1, 0, 30, 0, 0, time.FixedZone("", 3600))); err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(os.DirFS(folder), "*")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"tool-completion-bash.1", "tool-completion-fish.1", "tool-completion-powershell.1", "tool-completion-zsh.1", "tool-completion.1", "tool-group-one.1", "tool-group.1", "tool.1"}
	if !slices.Equal(names, want) {
		t.Errorf("the pages are %q, want %q", names, want)
	}
	text, err := os.ReadFile(filepath.Join(folder, "tool-group-one.1"))
	if err != nil {
		t.Fatal(err)
	}
	const page = `.TH TOOL\-GROUP\-ONE 1 2026-11-30 "tool v1.2" "tool manual"
.SH NAME
tool\-group\-one \- Do one
.SH SYNOPSIS
\fBtool group one\fR FILE [flags]
.SH DESCRIPTION
one takes \(aqjobs.*.*\(aq and [x](y), \(gaa*b\(ga stays.
\&.so is a line
\(aqbr too, C:\en
.PP
.EX
first   line
\&.second line
.EE
.PP
Last \-\- words.
.SH OPTIONS
.TP
\fB\-\-all\fR
a switch
.TP
\fB\-\-since time\fR
a time, or | all
.TP
\fB\-h, \-\-help\fR
help for tool group one
.SH GLOBAL OPTIONS
.TP
\fB\-o, \-\-output string\fR
table or json (default \(dqtable\(dq)
.SH EXIT STATUS
.TP
\fB0\fR
yes
.TP
\fB3\fR
not known
.SH EXAMPLES
.EX
tool group one \(aqa*\(aq | less
\&.hidden \e
  \-\-since 24h
.EE
.SH SEE ALSO
\fBtool\-group\fR(1),
\fBtool\fR(1)
`
	if string(text) != page {
		t.Errorf("the page is\n%s\nwant\n%s", text, page)
	}
}

// The command makes the same pages of the same date, and refuses a date that is none.
func TestCommand(t *testing.T) {
	run := func(folder string) error {
		root := program()
		root.SetArgs([]string{"docs", "man", folder})
		root.SilenceErrors, root.SilenceUsage = true, true
		return root.Execute()
	}
	folder := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	if err := run(folder); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "tool.1")); err != nil || !strings.HasPrefix(string(text), ".TH TOOL 1 1970-01-02 ") {
		t.Errorf("the page of 86400 seconds after 1970 is %v, %.80q", err, text)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run(folder); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("the error for a date in words is %v, want one that names SOURCE_DATE_EPOCH", err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "")
	file := filepath.Join(folder, "tool.1")
	if err := run(file); err == nil {
		t.Error("a file in the place of the folder is no error")
	}
}
