package config_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/config"
)

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	file, secret, other := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "a.key"), filepath.Join(dir, "b.key")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "one")
	write(secret, "secret")
	seen := func() string {
		var all []string
		for _, path := range []string{file, secret, other} {
			text, _ := os.ReadFile(path) // missing is empty
			all = append(all, string(text))
		}
		return strings.Join(all, " ")
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls, done := make(chan string, 100), make(chan error, 1)
	go func() {
		done <- config.Watch(ctx, []string{file, secret}, func() []string {
			calls <- seen()
			return []string{file, secret, other}
		})
	}()
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"the start", func() {}, "one secret "},
		{"the file is written", func() { write(file, "two") }, "two secret "},
		{"a secret is replaced", func() {
			write(filepath.Join(dir, "new"), "changed")
			if err := os.Rename(filepath.Join(dir, "new"), secret); err != nil {
				t.Fatal(err)
			}
		}, "two changed "},
		{"a file that was named since appears", func() { write(other, "x") }, "two changed x"},
		{"a file goes", func() {
			if err := os.Remove(other); err != nil {
				t.Fatal(err)
			}
		}, "two changed "},
	} {
		step.do()
		for got := ""; got != step.want; {
			select {
			case got = <-calls:
			case err := <-done:
				t.Fatalf("%s: Watch returned %v", step.name, err)
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: not noticed", step.name)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watch = %v, want nil after ctx is done", err)
	}
}

func TestLoadNamesTheFilesItRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	text := "sources: {crm: {signature_keys: [{value: \"file:a.key\"}]}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Files) != 2 || c.Files[0] != path || c.Files[1] != filepath.Join(dir, "a.key") {
		t.Errorf("Files = %q, want config.yaml and a.key", c.Files)
	}
}
