package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

func wantFaults(t *testing.T, code int, report verified, want []string) {
	t.Helper()
	if bad := len(want) > 0; (code == exitFailed) != bad || report.OK == bad {
		t.Errorf("audit verify = exit %d, ok %v with faults %v, want faults: %v", code, report.OK, report.faults(), bad)
	}
	for _, w := range want {
		if !slices.ContainsFunc(report.faults(), func(f audit.Fault) bool { return strings.HasPrefix(f.String(), w) }) {
			t.Errorf("no fault begins with %q; there are\n%v", w, report.faults())
		}
	}
}

func copyOf(t *testing.T, base string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// enter is intrude without a copy.
func enter(t *testing.T, dir string) *intruder {
	t.Helper()
	x := intrude(t, dir)
	copied := x.dir
	x.after = append(x.after, func() {
		x.must(os.RemoveAll(filepath.Join(dir, "receiver-data")))
		x.must(os.Rename(filepath.Join(copied, "receiver-data"), filepath.Join(dir, "receiver-data")))
	})
	return x
}

func removeAnd(t *testing.T, dir, stream string, seq uint64) {
	t.Helper()
	x := enter(t, dir)
	x.delete(stream, seq)
	x.leave()
}

// edit replaces a text of the configuration.
func edit(t *testing.T, dir, old, with string) {
	t.Helper()
	path := filepath.Join(dir, "config.yaml")
	text := readText(t, path)
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in\n%s", old, text)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(text, old, with, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func renamed(t *testing.T, dir, name string) {
	t.Helper()
	edit(t, dir, "name: test", "name: "+name)
}

// swapKey puts another log key in the place of the configured one.
func swapKey(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "log.key"), []byte(otherKey(t).Secret()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// forget removes checkpoints from places: a stream, the checkpoint file, the anchor.
func forget(t *testing.T, dir string, places ...string) {
	t.Helper()
	for _, place := range places {
		var err error
		switch place {
		case "CHECKPOINTS":
			x := enter(t, dir)
			x.deleteStream("CHECKPOINTS")
			x.leave()
		case "file":
			err = os.Remove(filepath.Join(dir, "receiver-checkpoints"))
		case "anchor":
			path := filepath.Join(dir, "anchor")
			if err = os.RemoveAll(path); err == nil {
				err = os.Mkdir(path, 0o700)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// swapTile puts a tile into the store, or removes it, and returns what was there.
func swapTile(t *testing.T, dir, name string, data []byte) []byte {
	t.Helper()
	x := enter(t, dir)
	defer x.leave()
	bucket, err := x.js.ObjectStore(t.Context(), "TILES")
	x.must(err)
	before, _ := bucket.GetBytes(t.Context(), name)
	x.tile(name, data)
	return before
}

// sealAnew seals as a program does that knows no other names.
func sealAnew(t *testing.T, dir string) {
	t.Helper()
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	server, bus, err := service.OpenStore(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	defer bus.Close(context.Background())
	file, err := anchor.OpenFile(filepath.Join(dir, "receiver-checkpoints"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	key, err := logkey.Parse(cfg.Audit.Key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := logs.Keys(cfg.Audit)
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range logs.Streams {
		log, err := logs.Open(t.Context(), bus, cfg.Audit, stream, keys)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := key.Signer(logs.Origin(cfg.Audit, stream))
		if err != nil {
			t.Fatal(err)
		}
		sealer, err := audit.NewSealer(log, audit.SealerOptions{Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		cp, err := sealer.Seal(t.Context())
		if err == nil {
			err = file.Publish(t.Context(), cp)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// claim stores a record in ACTIONS that logs were renamed.
func claim(t *testing.T, dir string, r logs.Renamed) {
	t.Helper()
	details, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	action := job.Action{What: job.ActionRename, Operator: "nobody", Time: time.Now(), Details: details}
	data, err := action.Data()
	if err != nil {
		t.Fatal(err)
	}
	x := enter(t, dir)
	_, err = x.js.PublishMsg(t.Context(), &nats.Msg{Subject: action.Subject(), Data: data})
	x.must(err)
	x.leave()
}

// headsOf are the trees of the newest checkpoints.
func headsOf(t *testing.T, dir string) map[string]logs.Head {
	t.Helper()
	heads := map[string]logs.Head{}
	x := enter(t, dir)
	for _, stream := range logs.Streams {
		cp, err := audit.ReadCheckpoint(x.newest(stream))
		x.must(err)
		heads[stream] = logs.Head{Size: cp.Tree.N, Root: cp.Tree.Hash.String()}
	}
	x.leave()
	return heads
}

// keysOf are the public keys of the logs of a folder.
func keysOf(t *testing.T, dir string) []string {
	t.Helper()
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	return publicKeys(t, cfg)
}

func logKeys(keys []string) (flags []string) {
	for _, k := range keys {
		flags = append(flags, "--log-key", k)
	}
	return flags
}

// command runs a command with the configuration of a folder.
func command(t *testing.T, dir string, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	code = run(t.Context(), append([]string{"--config", filepath.Join(dir, "config.yaml")}, args...), strings.NewReader(""), &b, &b)
	return code, b.String()
}

func rename(t *testing.T, dir, from string, flags ...string) {
	t.Helper()
	if code, out := command(t, dir, append([]string{"audit", "rename", "--from", from}, flags...)...); code != exitDone {
		t.Fatalf("audit rename --from %s = exit %d, %s", from, code, out)
	}
}

func listed(t *testing.T, dir string) string {
	t.Helper()
	_, out := command(t, dir, "audit", "list", "--actions", "--since", "all", "-o", "json")
	return out
}

// refused expects that no receiver starts, and what it says.
func refused(t *testing.T, dir, hint string) {
	t.Helper()
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml"), Env: []string{
		"RECEIVER_PUBLIC_ADDRESS=127.0.0.1:0", "RECEIVER_PRIVATE_ADDRESS=127.0.0.1:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := service.Start(t.Context(), cfg, zerolog.Nop())
	if err == nil {
		err = errors.Join(errors.New("it started"), in.Stop())
	}
	if !strings.Contains(err.Error(), hint) {
		t.Errorf("Start = %v, want it refused with %q", err, hint)
	}
}
