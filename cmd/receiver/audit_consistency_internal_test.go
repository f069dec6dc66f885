package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two bundles of one log are of one history or not; with the proof that needs no receiver.
func TestConsistencyOfTwoBundles(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	fork := t.TempDir()
	if err := os.CopyFS(fork, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	command := func(folder string, args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"--config", filepath.Join(folder, "config.yaml")}, args...), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	prove := func(folder, file string) {
		t.Helper()
		var out, talk bytes.Buffer
		if code := run(t.Context(), []string{"--config", filepath.Join(folder, "config.yaml"), "audit", "prove", "JOBS/1"}, strings.NewReader(""), &out, &talk); code != exitDone {
			t.Fatalf("audit prove = exit %d: %s", code, &talk)
		}
		if err := os.WriteFile(at(file), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	prove(dir, "old.json")
	sealMore(t, dir, []string{"6", "7"})
	prove(dir, "new.json")
	sealMore(t, fork, []string{"8", "9", "10"})
	prove(fork, "fork.json")
	if code, out := command(dir, "audit", "export", at("archive")); code != exitDone {
		t.Fatalf("audit export = exit %d: %s", code, out)
	}
	_, keys := command(dir, "audit", "keys")
	jobs := strings.Fields(keys)[0]
	attempts := strings.Fields(keys)[1]
	checkpoint := filepath.Join("archive", "JOBS", "checkpoint")
	for _, row := range []struct {
		name string
		args string // with files in the folder
		code int
		want string
	}{
		{"by the streams", "old.json new.json --write proof.json", exitDone, "PROVED: receiver/test/JOBS of size 7 extends the one of size 5"},
		{"by the proof", "old.json new.json --proof proof.json --log-key " + jobs, exitDone, "PROVED"},
		{"the later one first", "new.json old.json --proof proof.json --log-key " + jobs, exitDone, "PROVED"},
		{"with the checkpoint of an archive", "old.json " + checkpoint + " --proof proof.json --log-key " + jobs, exitDone, "PROVED"},
		{"by an archive", "old.json new.json --export archive", exitDone, "PROVED"},
		{"one and the same", "old.json old.json", exitDone, "size 5 extends the one of size 5"},
		{"a fork that is longer", "new.json fork.json --write other.json", exitUnknown, "of another history"},
		{"a fork, by a proof of another", "new.json fork.json --proof proof.json --log-key " + jobs, exitFailed, "NOT PROVED: the proof is about other checkpoints: of sizes 5 and 7"},
		{"the proof of others", "old.json old.json --proof proof.json --log-key " + jobs, exitFailed, "NOT PROVED: the proof is about other checkpoints"},
		{"no proof at all", "old.json new.json --proof old.json --log-key " + jobs, exitFailed, "NOT PROVED: malformed evidence bundle: format"},
		{"the key of another log", "old.json new.json --proof proof.json --log-key " + attempts, exitFailed, "NOT PROVED: file 1: checkpoint is not signed"},
		{"a proof without a key", "old.json new.json --proof proof.json", exitUsage, "--proof needs --log-key"},
		{"a proof, and where it would be made", "old.json new.json --proof proof.json --export archive --log-key " + jobs, exitUsage, "--proof is checked by itself; leave out --write and --export"},
		{"a file that is not there", "old.json none.json --proof proof.json --log-key " + jobs, exitUsage, "none.json"},
	} {
		args := []string{"audit", "consistency"}
		for word := range strings.FieldsSeq(row.args) {
			if strings.HasSuffix(word, ".json") || strings.HasPrefix(word, "archive") {
				word = at(word)
			}
			args = append(args, word)
		}
		folder := dir
		if strings.Contains(row.args, "--proof") {
			folder = t.TempDir() // there is no configuration
		}
		if code, out := command(folder, args...); code != row.code || !strings.Contains(out, row.want) {
			t.Errorf("%s: audit consistency %s = exit %d, want %d and %q\n%s", row.name, row.args, code, row.code, row.want, out)
		}
	}
	// With its own streams the longer fork is found: the proof is sound, and the root differs.
	if code, out := command(fork, "audit", "consistency", at("new.json"), at("fork.json")); code != exitFailed || !strings.Contains(out, "NOT PROVED: the later checkpoint does not extend the earlier one") {
		t.Errorf("a fork, by its streams: audit consistency = exit %d\n%s", code, out)
	}
}
