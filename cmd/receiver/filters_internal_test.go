package main

import (
	"bytes"
	"os"
	"path/filepath"
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
}
