//go:build browser

package checkpage_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"receiver/internal/checkpage"
)

// check is a bundle and what it is checked with.
type check struct {
	name          string
	Bundle        []byte   `json:"bundle"`
	LogKeys       []string `json:"log_keys"`
	WitnessKeys   []string `json:"witness_keys"`
	Witnesses     int      `json:"witnesses"`
	SignatureKeys []file   `json:"signature_keys"`
	Bodies        []file   `json:"bodies"`
}

type file struct {
	Name  string `json:"name"`
	Bytes []byte `json:"bytes"`
}

// answer is what the page says.
type answer struct {
	Code    int        `json:"code"`
	Verdict string     `json:"verdict"`
	Why     string     `json:"why"`
	Unknown string     `json:"unknown"`
	Lines   []string   `json:"lines"`
	Records [][]string `json:"records"`
	Dates   [][]string `json:"dates"`
}

// text is what the command prints if it says the same.
func (a answer) text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", a.Verdict, a.Why)
	if a.Verdict != "PROVED" {
		return out.String()
	}
	for _, line := range a.Lines {
		out.WriteString(line + "\n")
	}
	for _, table := range []struct {
		head string
		rows [][]string
	}{{"ID\tRECEIVED\tSOURCE\tVERDICT\tREASON\tJOB\tREMOTE\tKEY\tBODY", a.Records}, {"ID\tDATE\tTIME\tBY", a.Dates}} {
		out.WriteString("\n")
		w := tabwriter.NewWriter(&out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, table.head)
		for _, row := range table.rows {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		_ = w.Flush()
	}
	return out.String()
}

var folder string // of the program

// command builds the program once for all tests.
var command = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "receiver")
	if out, err := exec.Command("go", "build", "-o", path, "receiver/cmd/receiver").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "checkpage"); err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	m.Run()
}

// audit runs `receiver audit check`.
func (c check) audit(t *testing.T, dir string) (code int, out, messages string) {
	t.Helper()
	path, err := command()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	args := []string{"audit", "check", write("bundle.json", c.Bundle)}
	for _, key := range c.LogKeys {
		args = append(args, "--log-key="+key)
	}
	for _, key := range c.WitnessKeys {
		args = append(args, "--witness-key="+key)
	}
	if c.Witnesses != 0 {
		args = append(args, fmt.Sprintf("--witnesses=%d", c.Witnesses))
	}
	for _, f := range c.SignatureKeys {
		args = append(args, "--signature-key-file="+write(f.Name, f.Bytes))
	}
	for _, f := range c.Bodies {
		args = append(args, "--body="+write(f.Name, f.Bytes))
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	err = cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// ask returns what the script of the page says of all checks.
func ask(t *testing.T, checks []check) []answer {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("this test needs node, version 20 or later, for WebCrypto with Ed25519: install it, or leave out the tag `browser`")
	}
	page := filepath.Join(t.TempDir(), checkpage.Name)
	if err := os.WriteFile(page, checkpage.Page(), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(checks)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "testdata/run.mjs", page)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v: %s", err, &stderr)
	}
	var answers []answer
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(checks) {
		t.Fatalf("%d answers on %d checks: %v: %.200s", len(answers), len(checks), err, out)
	}
	return answers
}

// agree holds that the page says of each check what the command says, and returns the answers.
func agree(t *testing.T, checks []check) []answer {
	t.Helper()
	dir, answers := t.TempDir(), ask(t, checks)
	for i, a := range answers {
		c := checks[i]
		code, out, messages := c.audit(t, dir)
		switch {
		case a.Code != code:
			t.Errorf("%s: the page has code %d, the command %d\npage: %s\ncommand: %s%s", c.name, a.Code, code, a.text(), out, messages)
		case code == 2:
		case a.text() != out:
			t.Errorf("%s: the page says\n%s\nthe command\n%s", c.name, a.text(), out)
		case !strings.Contains(messages, a.Unknown):
			t.Errorf("%s: the page says %q, the command %q", c.name, a.Unknown, messages)
		}
	}
	return answers
}
