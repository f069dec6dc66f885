//go:build e2e && unix

package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServePassesConformance attacks a real serve by the real suite, restarts it, and has the
// replays judged after that.
func TestServePassesConformance(t *testing.T) {
	dir := t.TempDir()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	const source = "  %s:\n    base_url: http://127.0.0.1:1/elements/api-v2\n    signature_keys: [{name: first, value: 'file:%s.key'}]\n"
	config := "sources:\n" + fmt.Sprintf(source, "crm", "crm") + fmt.Sprintf(source, "erp", "erp") +
		"public: {address: '127.0.0.1:" + p.public + "'}\nprivate: {address: '127.0.0.1:" + p.private + "'}\n" +
		"nats: {embedded: {address: '127.0.0.1:" + p.nats + "'}}\nlimits: {read_header_timeout: 2s, read_timeout: 4s}\n"
	for name, text := range map[string]string{"config.yaml": config, "crm.key": signatureKey, "erp.key": signatureKey + "-of-erp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	attack := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		url := "http://127.0.0.1:" + p.public + "/callbacks/"
		cmd := exec.CommandContext(ctx, "receiver", "conformance", "--url", url+"crm", "--key-file", "crm.key", "--other-url", url+"erp",
			"--other-key-file", "erp.key", "--cut-off", "15s", "--time", "45s", "--resume", "kept.json", "--html", "report.html")
		cmd.Dir, cmd.Env = dir, environment()
		report, err := cmd.Output()
		if err != nil || !strings.Contains(string(report), " 0 failed") {
			t.Fatalf("conformance: %v\n%s", err, report)
		}
		lines := strings.Split(strings.TrimSpace(string(report)), "\n")
		t.Log(lines[len(lines)-1])
	}
	serve := start(t, dir, "serve")
	serve.listening(t)
	attack()
	if code, err := serve.end(syscall.SIGTERM); err != nil || code != 0 {
		t.Fatalf("serve ended with %d, %v", code, err)
	}
	start(t, dir, "serve").listening(t)
	attack()
}
