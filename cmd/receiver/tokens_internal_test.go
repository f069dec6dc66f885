package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/access"
)

// config check and doctor say what is odd about tokens, and serve does not start on a file
// with faults.
func TestUnusualTokensAreReported(t *testing.T) {
	t.Setenv("RECEIVER_PRIVATE_TOKEN", "short")
	r := newKeysRig(t)
	path := filepath.Join(t.TempDir(), "tokens.json")
	t.Setenv("RECEIVER_PRIVATE_TOKENS_FILE", path)
	_, old, err := access.New("old", []access.Scope{access.Read}, time.Now(), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := access.Add(path, old); err != nil {
		t.Fatal(err)
	}
	said := func(args ...string) string {
		_, out, talk := r.run(args...)
		return out + talk
	}
	if got := said("config", "check"); strings.Contains(got, "chmod") {
		t.Errorf("config check of a file of mode 0600 = %s", got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"private.token: has only 5 bytes", "can be read or written by users other than its owner", "the token old has expired"} {
		if got := said("config", "check"); !strings.Contains(got, want) {
			t.Errorf("config check lacks %q:\n%s", want, got)
		}
	}
	for _, want := range []string{"has only 5 bytes", "the token file " + path + " can be read by others", "the token old of the private listener has expired"} {
		if got := said("doctor", "--timeout", "2s"); strings.Count(got, want) != 1 {
			t.Errorf("doctor does not say %q once:\n%s", want, got)
		}
	}
	if err := os.WriteFile(path, []byte(`{"tokens":[{"name":"a"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve"}, {"config", "check"}, {"tokens", "list"}, {"doctor", "--timeout", "2s"}} {
		if code, out, talk := r.run(args...); code == exitDone || !strings.Contains(out+talk, "token a: sha256 is not 64 hexadecimal digits") {
			t.Errorf("receiver %v with a faulty file = exit %d\n%s%s", args, code, out, talk)
		}
	}
}

// Beyond loopback a token must be there before the receiver starts, and can be made before.
func TestATokenCanBeMadeBeforeItIsNeeded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	t.Setenv("RECEIVER_PRIVATE_TOKENS_FILE", path)
	r := newKeysRig(t)
	t.Setenv("RECEIVER_PRIVATE_ADDRESS", "0.0.0.0:0")
	if code, _, talk := r.run("config", "check"); code != exitUsage || !strings.Contains(talk, "receiver tokens add NAME --scope read --file "+path) {
		t.Errorf("config check = exit %d, %s, want how to make one", code, talk)
	}
	if code, _, talk := r.run("tokens", "add", "a", "--scope", "read", "--file", path); code != exitDone {
		t.Fatalf("tokens add = exit %d, %s", code, talk)
	}
	if code, _, talk := r.run("config", "check"); code != exitDone {
		t.Errorf("config check with a token = exit %d, %s", code, talk)
	}
	for _, args := range [][]string{
		{"add", "a", "--scope", "read"}, {"add", "b"}, {"add", "b", "--scope", "root"}, {"add", "folder", "--scope", "read"},
		{"add", "b", "--scope", "read", "--expires", "0d"}, {"add", "b", "--scope", "read", "--expires", "soon"}, {"remove", "b"},
	} {
		if code, out, _ := r.run(append(append([]string{"tokens"}, args...), "--file", path)...); code == exitDone || out != "" {
			t.Errorf("tokens %v = exit %d, %s, want an error", args, code, out)
		}
	}
}
