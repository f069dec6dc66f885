package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"receiver/internal/config"
)

func TestWhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "# first line\nsources:\n  crm:\n    signature_keys:\n      - value: abc\n      - value: def\nnats:\n  mode: embedded\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := config.Options{Path: path, Env: []string{"RECEIVER_NATS_JOBS_MAX_AGE=100h"}}
	for setting, want := range map[string]string{
		"nats.mode":                           path + ":8",
		"nats.sync":                           path + ":7",
		"nats.jobs_max_age":                   "environment RECEIVER_NATS_JOBS_MAX_AGE",
		"sources.crm.signature_keys[1].value": path + ":6",
		"sources.crm.callback_base_url":       path + ":3",
		"private.address":                     path,
		"no.such.setting":                     path,
	} {
		if got := config.Where(o, setting); got != want {
			t.Errorf("Where(%s) = %s, want %s", setting, got, want)
		}
	}
	for _, o := range []config.Options{{Path: path + ".none"}, {}} {
		if got := config.Where(o, "nats.mode"); got != o.Path {
			t.Errorf("Where without a file = %q, want %q", got, o.Path)
		}
	}
}
