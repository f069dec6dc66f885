package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Completion knows what there is, needs no secret, and says nothing if it knows nothing.
func TestCompletion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "bad.yaml")
	for path, text := range map[string]string{good: secretive, bad: "sources: ["} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stop := storeWith77(t, filepath.Join(dir, "data"))
	check := func(config, line, want string) {
		t.Helper()
		var out, talk bytes.Buffer
		args := append([]string{"__complete"}, strings.Split(line, " ")...)
		args = append(args[:len(args)-1], "--config", config, args[len(args)-1])
		code := run(t.Context(), args, strings.NewReader(""), &out, &talk)
		got := strings.Join(strings.Split(strings.TrimSuffix(out.String(), ":4\n"), "\n"), "|")
		if said := strings.TrimSpace(talk.String()); code != exitDone || got != want || strings.Contains(said, "\n") || !strings.HasPrefix(said, "Completion ended") {
			t.Errorf("%q completes %q (exit %d), want %q\n%s", line, got, code, want, said)
		}
	}
	for line, want := range map[string]string{
		"jobs show ": "77\tcrm errors|", "jobs show --source crm 7": "77\tcrm errors|", "jobs show --source erp ": "", "jobs result --object=": "contact|",
		"submit --source=": "crm|erp|", "audit reverify --key=": "key-1|", "jobs list --state=over": "overdue|", "jobs list --result=c": "cancelled|",
		"audit list --verdict=q": "quarantined|", "audit list --reason=wrong_": "wrong_path|wrong_method|", "audit list --output=": "table|json|ocsf|csv|",
		"streams copy A": "ATTEMPTS|ACTIONS|", "events watch --subject=att": "attempts.>|", "tokens add a --scope=a": "audit|admin|", "consumers remove ": "",
	} {
		check(good, line, want)
		if _, fixed, _ := strings.Cut(line, "--"); !strings.HasPrefix(fixed, "st") { // what depends on the configuration
			continue
		}
		check(bad, line, want)
	}
	check(bad, "jobs show ", "")
	check(bad, "submit --source=", "")
	stop()
	check(good, "jobs show ", "") // nothing has the store open
}
