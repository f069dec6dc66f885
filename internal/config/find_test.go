package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"receiver/internal/config"
)

func TestFind(t *testing.T) {
	home, here := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("RECEIVER_CONFIG", "")
	t.Chdir(here)
	missing := filepath.Join(here, "none.yaml")

	user := filepath.Join(home, "receiver", "config.yaml")
	_, err := config.Find("")
	if err == nil || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there is no config.yaml and no "+user+";") {
		t.Errorf("Find in empty folders = %v, want where it looked", err)
	}
	// Variables of a source are a configuration; those of Kubernetes for a Service are none.
	t.Setenv("RECEIVER_SOURCES_PORT", "tcp://10.0.0.1:80")
	if got, err := config.Find(""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Find with the variable of a Service = %q, %v, want an error", got, err)
	}
	t.Setenv("RECEIVER_SOURCES_CRM_HUB", "crm")
	if got, err := config.Find(""); got != "" || err != nil {
		t.Errorf("Find with a source in the environment = %q, %v, want no file", got, err)
	}
	if got, err := config.Find(missing); err == nil {
		t.Errorf("Find(no such file) = %q with a source in the environment, want an error", got)
	}
	for _, step := range []struct{ make, want string }{{user, user}, {filepath.Join(here, "config.yaml"), "config.yaml"}} {
		if err := os.MkdirAll(filepath.Dir(step.make), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(step.make, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := config.Find(""); got != step.want || err != nil {
			t.Errorf("Find(\"\") = %q, %v, want %q", got, err, step.want)
		}
	}
	if got, err := config.Find(user); got != user || err != nil {
		t.Errorf("Find(%q) = %q, %v, want the same", user, got, err)
	}
	if got, err := config.Find(missing); err == nil || !strings.Contains(err.Error(), "named by --config") {
		t.Errorf("Find(no such file) = %q, %v, want an error", got, err)
	}
	t.Setenv("RECEIVER_CONFIG", user)
	if got, err := config.Find(""); got != user || err != nil {
		t.Errorf("Find with RECEIVER_CONFIG = %q, %v, want %q", got, err, user)
	}
	t.Setenv("RECEIVER_CONFIG", missing)
	if got, err := config.Find(""); err == nil || !strings.Contains(err.Error(), "named by RECEIVER_CONFIG") {
		t.Errorf("Find with a wrong RECEIVER_CONFIG = %q, %v, want an error", got, err)
	}
}
