package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A filter that nothing can match is wrong use, and no silence.
func TestUnknownWordsInFiltersAreWrongUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	const text = `sources: {erp: {signature_keys: [{name: key-2026, value: the-key-of-the-test}]}}
nats: {embedded: {folder: data, address: "127.0.0.1:0"}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// The source crm is no longer configured, and recorded.
	defer storeWith77(t, filepath.Join(filepath.Dir(path), "data"))()
	for _, tt := range []struct {
		line string
		want int
		says string
	}{
		{"jobs list --state finshed", exitUsage, `"finshed" is unknown (did you mean finished?); known: submitted, running, overdue, lost, finished, conflict`},
		{"jobs list --result good", exitUsage, `"good" is unknown; known: succeeded, partial, failed, cancelled, unknown`},
		{"jobs list --sort newest", exitUsage, `"newest" is unknown; known: time, id`},
		{"jobs list --source erq", exitUsage, `"erq" is unknown (did you mean erp?); known: erp`},
		{"jobs list --source erq --follow", exitUsage, `"erq" is unknown`},
		{"jobs list --source erp", exitDone, ""}, {"jobs list --source crm", exitDone, "77"},
		{"audit list --verdict refuse", exitUsage, `--verdict "refuse" is unknown (did you mean refused?)`},
		{"audit list --reason missmatch", exitUsage, `--reason "missmatch" is unknown (did you mean mismatch?)`},
		{"audit list --source erq", exitUsage, `"erq" is unknown (did you mean erp?)`},
		{"audit list --verdict mismach", exitUsage, `--verdict "mismach" is unknown (did you mean mismatch?); known: accepted, `},
		{"audit list --verdict mismatch", exitDone, ""}, {"audit list --verdict Refused", exitUsage, "(did you mean refused?)"},
		{"audit list --body xyz", exitUsage, `--body "xyz" is neither a SHA-256 in hexadecimal nor its first digits`},
		{"audit list --limit -1", exitUsage, "--limit -1 is less than 0"}, {"audit list --until 48h", exitUsage, "--until 48h is before since 24h"},
		{"audit prove --verdict mismach --log-key x", exitUsage, `--verdict "mismach" is unknown (did you mean mismatch?)`},
		{"audit prove --log-key x", exitUsage, "name records such as JOBS/12, or select them by filters"},
		{"audit prove JOBS/1 --job 77", exitUsage, "one of both"},
		{"audit list --source erp --verdict refused --reason mismatch", exitDone, ""}, {"audit list --source crm", exitDone, ""},
		{"audit reverify --since all --key key-2025", exitUsage, `"key-2025" is unknown (did you mean key-2026?); known: key-2026`},
		{"events watch --subject jobs.*.*.finshed", exitUsage, `"finshed" is unknown (did you mean finished?)`},
		{"events watch --subject attempts.erp.refused", exitUsage, `the verdict "refused" is unknown`},
		{"events watch --subject jobs.erq.>", exitUsage, `"erq" is unknown (did you mean erp?)`},
		{"events watch --subject jobs.crm.> --since 24h --count 1", exitDone, "jobs.crm.77"},
		{"consumers add a --filter jobs.*.*.finshed", exitUsage, `"finshed" is unknown (did you mean finished?)`},
		{"consumers add a --filter jobs.erq.>", exitUsage, `"erq" is unknown (did you mean erp?)`},
		{"consumers add a --filter attempts.>", exitUsage, `"attempts" is unknown; known: jobs`},
		{"keys list --source erq", exitUsage, `"erq" is unknown (did you mean erp?)`},
		{"jobs show --source erq 77", exitUsage, `"erq" is unknown (did you mean erp?)`},
	} {
		var out, talk bytes.Buffer
		code := run(t.Context(), append([]string{"--config", path}, strings.Fields(tt.line)...), strings.NewReader(""), &out, &talk)
		if said := out.String() + talk.String(); code != tt.want || !strings.Contains(said, tt.says) {
			t.Errorf("receiver %s = exit %d, want %d and %q in\n%s", tt.line, code, tt.want, tt.says, said)
		}
	}
	for _, line := range linesOfAuditList(t) {
		if slices.Contains(line, "--export") {
			continue // audit_archive.txtar has an archive
		}
		var out, talk bytes.Buffer
		if code := run(t.Context(), append([]string{"--config", path}, line...), strings.NewReader(""), &out, &talk); code != exitDone {
			t.Errorf("a text shows receiver %s, which is exit %d: %s", strings.Join(line, " "), code, &talk)
		}
	}
}

var auditListLine = regexp.MustCompile("(?:receiver |`)(audit list[^`\n#>|\"\\\\]*)")

// linesOfAuditList are the lines of audit list in every text that shows some.
func linesOfAuditList(t *testing.T) (lines [][]string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || d.IsDir() || ext != ".md" && ext != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range auditListLine.FindAllStringSubmatch(string(text), -1) {
			words := strings.Fields(found[1])
			if last := words[len(words)-1]; len(words) == 3 && last != "--actions" && strings.HasPrefix(last, "--") {
				continue // it names a flag
			}
			if len(words) > 2 && strings.HasPrefix(words[2], "-") {
				lines = append(lines, words)
			}
		}
		return err
	})
	if err != nil || len(lines) < 10 {
		t.Fatalf("the texts show %d lines of audit list, %v, want more", len(lines), err)
	}
	return lines
}

// A list that was not told its beginning says what it leaves out, beside its output.
func TestAListSaysWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("since") != "" {
			fmt.Fprint(w, `{"callbacks":[]}`)
			return
		}
		fmt.Fprint(w, `{"callbacks":[],"older":{"records":1234,"since":"2026-09-01T10:00:00Z"}}`)
	}))
	t.Cleanup(server.Close)
	const says = "older records are not listed: 1234 since 2026-09-01T10:00:00Z; --since all reads them, too\n"
	for line, want := range map[string]string{
		"audit list": says, "audit list -o json": says, "audit list -o ocsf": says, "audit list --since 24h": "", "audit list --since all": "",
	} {
		var out, talk bytes.Buffer
		code := run(t.Context(), append([]string{"--url", server.URL}, strings.Fields(line)...), strings.NewReader(""), &out, &talk)
		if code != exitDone || talk.String() != want || strings.Contains(out.String(), "older") {
			t.Errorf("receiver %s = exit %d, %q beside %q, want %q", line, code, &talk, &out, want)
		}
	}
}
