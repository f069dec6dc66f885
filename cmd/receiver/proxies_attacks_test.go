//go:build proxies && linux

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// verdict is what the attack suite says of a case.
type verdict struct{ seen, verdict string }

// accepted is a 2xx, or a failure: each of the suite is something that must be refused.
func (v verdict) accepted() bool { return v.verdict == "fail" || strings.HasPrefix(v.seen, "2") }

// attacked runs the attack suite against a port.
func attacked(t *testing.T, dir, port string) map[string]verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longTimeout)
	defer cancel()
	url := "http://127.0.0.1:" + port + "/callbacks/"
	cmd := exec.CommandContext(ctx, "receiver", "conformance", "--url", url+"crm", "--key-file", "crm.key", "--other-url", url+"erp",
		"--other-key-file", "erp.key", "--cut-off", "15s", "--time", "60s", "--json")
	cmd.Dir, cmd.Env = dir, environment()
	out, _ := cmd.Output() // 1 for a case that fails
	verdicts := map[string]verdict{}
	for line := range bytes.Lines(out) {
		var r struct{ Class, Name, Seen, Verdict string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if r.Class != "" {
			verdicts[r.Class+": "+r.Name] = verdict{r.Seen, r.Verdict}
		}
	}
	if len(verdicts) < 500 {
		t.Fatalf("the suite has reported %d cases, want over 500:\n%s", len(verdicts), tail(string(out)))
	}
	return verdicts
}

// attacks: nothing is accepted through the proxy that is refused without it, but for what
// docs/proxies.md lists, which the proxy repairs before the receiver sees it.
func (r *inFront) attacks(t *testing.T, direct map[string]verdict) {
	found := map[string]bool{}
	through := attacked(t, r.receiver, r.plain)
	for name, v := range through {
		if before, ok := direct[name]; !ok {
			t.Errorf("%s was not tried without the proxy", name)
		} else if v.accepted() && !before.accepted() {
			found[name] = true
		}
	}
	if len(through) != len(direct) {
		t.Errorf("%d cases through %s and %d without", len(through), r.name, len(direct))
	}
	listed := repaired(t, r.name)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if !listed[name] {
			t.Errorf("accepted through %s, and refused without: %s: %s; without: %s", r.name, name, through[name].seen, direct[name].seen)
		}
	}
	for name := range listed {
		if !found[name] {
			t.Errorf("docs/proxies.md lists %q for %s, which is refused: remove it there", name, r.name)
		}
	}
}

// repaired returns the cases that docs/proxies.md lists for a proxy.
func repaired(t *testing.T, proxy string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:chunks|lengths|smuggling): [^`]+)` \\| (.+) \\|$").FindAllStringSubmatch(string(text), -1) {
		if slices.Contains(strings.Split(row[2], ", "), proxy) {
			listed[row[1]] = true
		}
	}
	return listed
}
