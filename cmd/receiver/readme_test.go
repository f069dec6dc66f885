package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTenLinesOfREADME holds README's "A real tenant in ten lines": it has ten, `receiver init`
// makes all that they name, and neither `config check` nor `doctor` warns of them. The addresses
// are those of a simulated platform, and of nobody yet.
func TestTheTenLinesOfREADME(t *testing.T) {
	t.Parallel()
	lines := tenLines(t)
	if n := strings.Count(lines, "\n"); n != 10 {
		t.Errorf("there are %d lines, want 10", n)
	}
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := "http://" + p.host + ":"
	env := append(environment(), "CRM_ELEMENT_TOKEN=the-element-token", "CRM_USER_SECRET=the-user-secret")
	run := func(args ...string) (*process, int) {
		r, err := startProcess(dir, env, "receiver", args...)
		if err != nil {
			t.Fatal(err)
		}
		code, err := r.end(0)
		if err != nil {
			t.Fatal(err)
		}
		return r, code
	}
	if r, code := run("init", "--source", "crm", "--hub", "crm", "--base-url", value(t, lines, "base_url"), "--callback-base-url", value(t, lines, "callback_base_url"),
		"--element-token", value(t, lines, "element_token"), "--user-secret", value(t, lines, "user_secret")); code != 0 {
		t.Fatalf("init = exit %d, %s", code, r.log)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`file:([\w.-]+)|directory: ([\w.-]+)`).FindAllStringSubmatch(lines, -1) {
		if _, err := os.Stat(filepath.Join(dir, m[1]+m[2])); err != nil {
			t.Errorf("README names what init does not make: %v", err)
		}
	}
	if r, code := run("config", "check"); code != 0 || r.log.String() != "" || !strings.Contains(r.out.String(), "1 source, 0 warnings") {
		t.Errorf("config check = exit %d, %s%s, want no warning", code, r.out, r.log)
	}
	env = append(env, "RECEIVER_SOURCES_CRM_BASE_URL="+at+p.platform+"/elements/api-v2", "RECEIVER_SOURCES_CRM_CALLBACK_BASE_URL="+at+p.public,
		"RECEIVER_PUBLIC_ADDRESS="+p.host+":"+p.public, "RECEIVER_PRIVATE_ADDRESS="+p.host+":"+p.private, "RECEIVER_NATS_EMBEDDED_ADDRESS="+p.host+":"+p.nats)
	platform, err := startProcess(dir, env, "receiver", "simulate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(platform.kill)
	if _, err := platform.wait(platform.log, regexp.MustCompile("TEST platform")); err != nil {
		t.Fatal(err)
	}
	if r, code := run("doctor", "--strict"); code != 0 || !strings.Contains(r.out.String(), "the platform accepts the secrets") {
		t.Errorf("doctor --strict = exit %d, want no warning:\n%s%s", code, r.out, r.log)
	}
}

// tenLines returns the configuration of README.
func tenLines(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## A real tenant in ten lines\n\n")
	var lines strings.Builder
	for line := range strings.Lines(section) {
		code, ok := strings.CutPrefix(line, "    ")
		if !ok {
			break
		}
		lines.WriteString(code)
	}
	return lines.String()
}

// value returns the value of a key that is on a line of its own.
func value(t *testing.T, lines, key string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^ +` + key + `: (.*)$`).FindStringSubmatch(lines)
	if m == nil {
		t.Fatalf("README's ten lines have no %s:\n%s", key, lines)
	}
	return m[1]
}
