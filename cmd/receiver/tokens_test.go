package main_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A token is in force, and out of it, in a receiver that runs, whatever the rest of the
// configuration is like, and every change and use has its record.
func TestTokensOfAReceiverThatRuns(t *testing.T) {
	dir := configured(t)
	receiver := func(args ...string) (out, talk string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "receiver", args...)
		var said strings.Builder
		cmd.Dir, cmd.Env, cmd.Stderr = dir, environment(), &said
		printed, err := cmd.Output()
		if err != nil {
			t.Fatalf("receiver %v: %v\n%s", args, err, said.String())
		}
		return strings.TrimSpace(string(printed)), said.String()
	}
	p := start(t, dir, "serve")
	p.listening(t)
	m, err := p.wait(p.log, regexp.MustCompile(`"private":"([^"]+)"`))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, m[1]+path, strings.NewReader(`{"source":"demo","signatures":["x"],"body":""}`))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	inForce := func(change string) {
		t.Helper()
		if _, err := p.wait(p.log, regexp.MustCompile(change+`.*"tokens of the private listener reloaded"`)); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask("GET", "/metrics", ""); got != 200 {
		t.Errorf("without tokens GET /metrics = %d, want 200 on loopback", got)
	}
	reader, talk := receiver("tokens", "add", "prometheus", "--scope", "read")
	if !strings.HasPrefix(reader, "rcv_") || strings.Contains(talk, reader) {
		t.Errorf("tokens add = %q and %q", reader, talk)
	}
	inForce(`"added":\["prometheus`)
	admin, _ := receiver("tokens", "add", "admin", "--scope", "admin", "--expires", "90d")
	inForce(`"added":\["admin`)
	for _, tt := range []struct {
		method, path, token string
		code                int
	}{
		{"GET", "/metrics", "", 401}, {"GET", "/metrics", reader, 200}, {"GET", "/metrics", admin, 403},
		{"GET", "/v1/callbacks", reader, 403}, {"POST", "/v1/verify/explain", reader, 403}, {"POST", "/v1/verify/explain", admin, 200},
	} {
		if got := ask(tt.method, tt.path, tt.token); got != tt.code {
			t.Errorf("%s %s = %d, want %d", tt.method, tt.path, got, tt.code)
		}
	}
	if out, talk := receiver("sources", "status", "-o", "json"); !strings.Contains(out, `"listener"`) {
		t.Errorf("sources status = %s%s, want the receiver's word", out, talk)
	}
	if out, _ := receiver("tokens", "list", "-o", "json"); strings.Count(out, "last_used") != 2 || strings.Contains(out, reader) {
		t.Errorf("tokens list = %s, want two that were used", out)
	}
	actions, _ := receiver("audit", "list", "--actions", "-o", "json")
	if strings.Count(actions, `"token admin"`) < 2 {
		t.Errorf("ACTIONS = %s, want the use of the token before and after", actions)
	}
	// A fault elsewhere in the configuration delays no removal.
	valid, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), append(valid, "nonsense: 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	receiver("tokens", "remove", "prometheus", "--file", "receiver-tokens.json")
	inForce(`"removed":\["prometheus`)
	if took := time.Since(began); took > waitTimeout/2 {
		t.Errorf("the removal took %v", took)
	}
	if got := ask("GET", "/metrics", reader); got != 401 {
		t.Errorf("a removed token = %d, want 401", got)
	}
	// Nor does the file's own removal open what was closed.
	if err := os.Remove(filepath.Join(dir, "receiver-tokens.json")); err != nil {
		t.Fatal(err)
	}
	inForce(`"removed":\["admin`)
	if got := ask("GET", "/metrics", ""); got != 401 {
		t.Errorf("without the file = %d, want 401", got)
	}
	if code, err := p.end(syscall.SIGTERM); code != 0 || err != nil {
		t.Errorf("serve = exit %d, %v", code, err)
	}
	for _, secret := range []string{reader, admin} {
		if strings.Contains(p.log.String()+actions, secret) {
			t.Error("a token stands in the log or in ACTIONS")
		}
	}
}
