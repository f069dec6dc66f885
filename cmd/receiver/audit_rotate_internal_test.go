package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/service/logs"
)

// The key of a log is rotated as docs/audit.md says: checkpoints of the old key stay valid as long
// as its public keys are listed, the log continues under the new key, and nothing forks.
func TestALogKeyIsRotated(t *testing.T) {
	dir := sealedFolder(t)
	path := filepath.Join(dir, "config.yaml")
	old, err := config.Load(config.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	oldKeys := publicKeys(t, old)
	for name, text := range map[string]string{
		"log-2.key": otherKey(t).Secret() + "\n",
		"config.yaml": strings.Replace(readText(t, path), `key: "file:log.key"`,
			`key: "file:log-2.key", verifier_keys: ["`+strings.Join(oldKeys, `", "`)+`"]`, 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sealMore(t, dir, []string{"6"})
	code, report := auditVerify(t, dir)
	if code != exitDone || report.Logs[0].Size != 6 || report.Logs[0].Checkpoints != 3 {
		t.Errorf("audit verify after the change = exit %d, %+v, want 6 leaves under 3 checkpoints of two keys", code, report)
	}
	renewed, err := config.Load(config.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	newKeys := slices.DeleteFunc(publicKeys(t, renewed), func(k string) bool { return slices.Contains(oldKeys, k) })
	for _, row := range []struct {
		name, key string
		want      int
	}{{"the new key", newKeys[0], exitDone}, {"the old key", oldKeys[0], exitFailed}} {
		var bundle, out bytes.Buffer
		run(t.Context(), []string{"--config", path, "audit", "prove", "JOBS/1"}, strings.NewReader(""), &bundle, &out)
		if code := run(t.Context(), []string{"audit", "check", "-", "--log-key", row.key}, &bundle, &out, &out); code != row.want {
			t.Errorf("audit check of a bundle made afterwards with %s = exit %d, want %d: %s", row.name, code, row.want, &out)
		}
	}
	t.Run("without the old public keys", func(t *testing.T) {
		t.Setenv("RECEIVER_AUDIT_VERIFIER_KEYS", newKeys[0])
		code, report := auditVerify(t, dir)
		unsigned := func(f audit.Fault) bool { return f.Kind == audit.BadNote && f.Stream == "JOBS" }
		if code != exitFailed || !slices.ContainsFunc(report.faults(), unsigned) {
			t.Errorf("audit verify = exit %d, %v, want old checkpoints named that no key vouches for", code, report.faults())
		}
	})
}

// A key in whose time nothing came to a log has signed no checkpoint of it, which is no fault.
func TestALogKeyIsRotatedWhileNothingComes(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	keys := keysOf(t, dir)
	edit(t, dir, `key: "file:log.key"`, `key: "file:log.key", verifier_keys: ["`+strings.Join(keys, `", "`)+`"]`)
	for _, archive := range []string{"first", "second"} { // of these keys, ACTIONS alone has checkpoints
		swapKey(t, dir)
		if code, out := command(t, dir, "audit", "export", filepath.Join(dir, archive)); code != exitDone {
			t.Fatalf("audit export = exit %d: %s", code, out)
		}
		added := slices.DeleteFunc(keysOf(t, dir), func(k string) bool { return slices.Contains(keys, k) })
		keys = append(keys, added...)
		edit(t, dir, `verifier_keys: [`, `verifier_keys: ["`+strings.Join(added, `", "`)+`", `)
		for _, flags := range [][]string{nil, logKeys(keys)} {
			code, report := auditVerify(t, dir, flags...)
			wantFaults(t, code, report, nil)
		}
	}
	never := otherKey(t).VerifierKey("receiver/test/ATTEMPTS")
	code, report := auditVerify(t, dir, append(logKeys(keys), "--log-key", never)...)
	wantFaults(t, code, report, []string{"receiver/test/ATTEMPTS: missing: no checkpoint of it by the key"})
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// publicKeys are those that a configuration gives its own log key.
func publicKeys(t *testing.T, cfg *config.Config) []string {
	t.Helper()
	key, err := logkey.Parse(cfg.Audit.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return logs.VerifierKeys(cfg.Audit, key)
}
