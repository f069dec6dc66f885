package remote_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"receiver/internal/remote"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestContextsAreKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "receiver", "contexts.yaml")
	all, err := remote.Read(path)
	if err != nil || len(all.Contexts) != 0 {
		t.Fatalf("Read of no file = %+v, %v", all, err)
	}
	if _, there, err := all.Named(""); there || err != nil {
		t.Errorf("without a context: %v, %v", there, err)
	}
	token := write(t, "token", "rcv_x\n")
	prod := remote.Context{URL: "https://receiver:8081", TokenFile: token}
	if err := all.Set("prod", prod); err != nil {
		t.Fatal(err)
	}
	all.Current = "prod"
	if err := remote.Write(path, all); err != nil {
		t.Fatal(err)
	}
	if all, err = remote.Read(path); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "prod"} {
		if got, there, err := all.Named(name); got != prod || !there || err != nil {
			t.Errorf("Named(%q) = %+v, %v, %v", name, got, there, err)
		}
	}
	if _, _, err := all.Named("test"); !errors.Is(err, remote.ErrUse) || !strings.Contains(err.Error(), "there are: prod") {
		t.Errorf("a name that is none: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "rcv_x") {
		t.Errorf("the file holds %s, %v, want no token", text, err)
	}
}

func TestContextsThatAreRefused(t *testing.T) {
	t.Parallel()
	token := write(t, "token", "rcv_x\n")
	for _, tt := range []struct {
		name, called string
		to           remote.Context
		says         string
	}{
		{"an empty name", "", remote.Context{URL: "https://a"}, "no name"},
		{"a name with a slash", "a/b", remote.Context{URL: "https://a"}, "no name"},
		{"an address that is none", "a", remote.Context{URL: "a"}, "not an address"},
		{"a token in clear text", "a", remote.Context{URL: "http://a", TokenFile: token}, "use https"},
		{"a relative file", "a", remote.Context{URL: "https://a", TokenFile: "token"}, "absolute"},
		{"no file", "a", remote.Context{URL: "https://a", TokenFile: token + "x"}, "no such file"},
		{"an empty file", "a", remote.Context{URL: "https://a", TokenFile: write(t, "empty", "\n")}, "holds no token"},
		{"no authorities", "a", remote.Context{URL: "https://a", CAFile: token}, "no certificate"},
	} {
		all := remote.Contexts{Contexts: map[string]remote.Context{}}
		if err := all.Set(tt.called, tt.to); !errors.Is(err, remote.ErrUse) || !strings.Contains(err.Error(), tt.says) || len(all.Contexts) != 0 {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
	for name, text := range map[string]string{"no YAML": "{", "an unknown key": "contexts: {a: {uri: x}}"} {
		if _, err := remote.Read(write(t, "contexts.yaml", text)); !errors.Is(err, remote.ErrUse) {
			t.Errorf("%s: %v, want ErrUse", name, err)
		}
	}
}
