package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service"
)

// keysConfig has two keys at a source, the new one first.
const keysConfig = `
sources:
  crm:
    signature_keys:
      # in use since yesterday
      - name: new
        value: the-new-signature-key
      - name: old
        value: the-old-signature-key
        not_after: 2026-01-01T00:00:00Z
  erp:
    signature_keys: [{name: old, value: the-signature-key-of-erp}]
`

// keysRig is a folder with a configuration and a store.
type keysRig struct {
	t      *testing.T
	dir    string
	prints map[string]string // fingerprints by key
}

func newKeysRig(t *testing.T) *keysRig {
	t.Helper()
	r := &keysRig{t: t, dir: t.TempDir(), prints: map[string]string{}}
	if err := os.WriteFile(r.config(), []byte(keysConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := (&app{config: r.config()}).load()
	if err != nil {
		t.Fatal(err)
	}
	configured, err := service.ConfiguredKeys(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range configured {
		r.prints[k.Source+"/"+k.Name] = k.Fingerprint
	}
	return r
}

func (r *keysRig) config() string { return filepath.Join(r.dir, "config.yaml") }

// open lends the store.
func (r *keysRig) open(use func(*publish.Store)) {
	r.t.Helper()
	server, err := natsserver.Start(natsserver.Embedded{Folder: filepath.Join(r.dir, "receiver-data"), Log: zerolog.Nop()})
	if err != nil {
		r.t.Fatal(err)
	}
	defer server.Stop()
	bus, err := publish.Open(r.t.Context(), server, conn.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	use(bus)
	if err := bus.Close(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// store puts callbacks into the store that keys verified so many hours ago.
func (r *keysRig) store(uses map[string][]float64) {
	r.t.Helper()
	r.open(func(bus *publish.Store) {
		for key, hours := range uses {
			source, name, _ := strings.Cut(key, "/")
			for _, h := range hours {
				at := time.Now().Add(-time.Duration(h * float64(time.Hour)))
				_, err := bus.Publish(r.t.Context(), job.Event{
					Kind: job.Finished, Source: source, Time: at, Evidence: job.ByCallback, Data: []byte("{}"),
					Job:     job.View{ID: fmt.Sprintf("%s-%v", name, h), Status: "COMPLETED", Result: job.Succeeded},
					Receipt: &job.Receipt{Key: name, Fingerprint: r.prints[key], Received: at},
				})
				if err != nil {
					r.t.Fatal(err)
				}
			}
		}
	})
}

func (r *keysRig) run(args ...string) (code int, out, talk string) {
	var o, e bytes.Buffer
	code = run(r.t.Context(), append([]string{"--config", r.config()}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestKeysRetire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		uses map[string][]float64
		args []string
		code int
		out  string // part of standard output
		talk string // part of standard error
	}{
		{"unused", map[string][]float64{"crm/old": {97.5}, "crm/new": {1}}, []string{"crm/old"}, exitDone,
			"unused for 97h; safe to remove: remove lines 8 to 10 of ", ""},
		{"used", map[string][]float64{"crm/old": {3.5}, "crm/new": {1}}, []string{"--source", "crm", "old"}, exitFailed,
			"used 3h ago by job old-3.5; safe not before ", ""},
		{"unused for less than asked", map[string][]float64{"crm/old": {97.5}, "crm/new": {1}}, []string{"--when-unused", "120h", "crm/old"},
			exitFailed, "used 97h ago", ""},
		{"a span that is too short", map[string][]float64{"crm/old": {50}, "crm/new": {1}}, []string{"--when-unused", "24h", "crm/old"},
			exitDone, "unused for 50h", "may retry a callback for up to 73h"},
		{"the only key", map[string][]float64{"erp/old": {97.5}}, []string{"erp/old"}, exitFailed, "the only key of its source", ""},
		{"a name of two keys", nil, []string{"old"}, exitUsage, "", `key "old" is ambiguous: crm/old, erp/old`},
		{"no such key", nil, []string{"--source", "crm", "older"}, exitUsage, "", "configured keys: crm/new, crm/old"},
		{"no such source", nil, []string{"--source", "hr", "old"}, exitUsage, "", `no source "hr"`},
		{"no span", nil, []string{"--when-unused", "0s", "crm/old"}, exitUsage, "", "must be more than 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newKeysRig(t)
			if tt.uses != nil {
				r.store(tt.uses)
			}
			code, out, talk := r.run(append([]string{"keys", "retire"}, tt.args...)...)
			if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(talk, tt.talk) {
				t.Errorf("keys retire %v = exit %d\n%s%s\nwant %d, %q and %q", tt.args, code, out, talk, tt.code, tt.out, tt.talk)
			}
			if strings.Contains(out+talk, "signature-key") {
				t.Errorf("a key was printed: %s%s", out, talk)
			}
		})
	}
}

func TestKeysRetireSaysWhereAKeyIs(t *testing.T) {
	uses := map[string][]float64{"crm/old": {97.5}, "crm/new": {1}}
	t.Run("by fingerprint, for machines", func(t *testing.T) {
		r := newKeysRig(t)
		r.store(uses)
		code, out, _ := r.run("-o", "json", "keys", "retire", r.prints["crm/old"])
		var got struct {
			Key, State, Why, Remove string
			Safe                    bool
			Verified                int
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDone {
			t.Fatalf("exit %d, %s (%v)", code, out, err)
		}
		if got.Key != "old" || got.State != string(keyusage.Expired) || !got.Safe || got.Verified != 1 || !strings.Contains(got.Remove, "lines 8 to 10") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("in the environment", func(t *testing.T) {
		t.Setenv("RECEIVER_SOURCES_CRM_SIGNATURE_KEYS", "the-new-signature-key,the-old-signature-key")
		r := newKeysRig(t)
		r.prints["crm/new"], r.prints["crm/old"] = r.prints["crm/key-1"], r.prints["crm/key-2"]
		r.store(uses)
		if code, out, _ := r.run("keys", "retire", "key-2"); code != exitDone || !strings.Contains(out, "environment variable RECEIVER_SOURCES_CRM_SIGNATURE_KEYS") {
			t.Errorf("exit %d, %s, want 0 and the variable's name", code, out)
		}
	})
}

func TestKeysList(t *testing.T) {
	t.Parallel()
	r := newKeysRig(t)
	r.prints["crm/gone"] = "sha256:00000000"
	r.store(map[string][]float64{"crm/old": {200, 50}, "crm/new": {60, 1}, "crm/gone": {500}})
	code, out, _ := r.run("keys", "list")
	if code != exitDone {
		t.Fatalf("keys list = exit %d, %s", code, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, want := range []string{
		"SOURCE", "crm     new   " + r.prints["crm/new"] + "  active", "crm     old   " + r.prints["crm/old"] + "  expired  ..2026-01-01T00:00:00Z",
		"crm     gone  sha256:00000000  removed", "erp     old   " + r.prints["erp/old"] + "  active   -",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of\n%s\nwant it to begin %q", i, out, want)
		}
	}
	if !strings.Contains(lines[2], "verified after its not_after") || !strings.Contains(lines[2], "though new is in use") {
		t.Errorf("the expired key's line lacks its warnings: %s", lines[2])
	}
	code, out, _ = r.run("-o", "json", "keys", "list", "--source", "erp")
	var got []keyusage.Use
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDone || len(got) != 1 || got[0].Source != "erp" {
		t.Errorf("keys list --source erp = exit %d, %s (%v), want one key", code, out, err)
	}
	if code, _, talk := r.run("keys", "list", "--source", "hr"); code != exitUsage || !strings.Contains(talk, "hr") {
		t.Errorf("keys list --source hr = exit %d, %s, want 2", code, talk)
	}
}
