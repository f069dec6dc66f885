//go:build e2e

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every command of the page for services works as it stands, in its order.
func TestThePageForServicesRuns(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	page, err := os.ReadFile("../../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands strings.Builder
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	for _, block := range blocks {
		commands.WriteString(block[1])
	}
	if len(blocks) < 8 {
		t.Fatalf("the page has %d blocks of commands: this test looks at the wrong page", len(blocks))
	}
	dir := t.TempDir()
	demo := startWith(t, dir, "receiver", "demo", "--keep", filepath.Join(dir, "demo"))
	m, err := demo.wait(demo.log, regexp.MustCompile(`private (http://\S+)`))
	if err != nil {
		t.Fatal(err)
	}
	// A token is accepted within three seconds, and a proof is there after one.
	script := "set -euo pipefail\ncurl() { local again=8; [ \"$1\" != -N ] || again=0; command curl -sS --fail-with-body --retry $again --retry-delay 1 --retry-all-errors \"$@\" && echo; }\n" +
		strings.ReplaceAll(commands.String(), "http://localhost:8081", m[1])
	run := exec.Command("bash", "-c", script)
	run.Dir, run.Env = dir, append(environment(), "RECEIVER_CONFIG="+filepath.Join(dir, "demo", "config.yaml"))
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, tail(string(out)))
	}
	for file, want := range map[string]string{
		"job.json": `"state":"finished"`, "result.csv": "", "proof.json": `"receiver-evidence/v1"`,
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %.300s, %v, want %s", file, text, err, want)
		}
	}
}
