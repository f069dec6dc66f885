//go:build python

package bundle_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
	"receiver/internal/audit/logkey"
)

// checkInPython runs the independent checker and returns what it printed.
func checkInPython(t *testing.T, bundle []byte, args ...string) (string, bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle.json")
	if err := os.WriteFile(path, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"../../../examples/check_bundle.py", path}, args...)
	out, err := exec.CommandContext(t.Context(), "python3", args...).CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("running python3: %v", err)
	}
	return string(out), err == nil
}

// signedBundle is a bundle of a signed record, an awkward one and the last of 600.
func signedBundle(t *testing.T) []byte {
	t.Helper()
	w := audittest.NewWorld(t, 600)
	w.Stream.Change(270, func(r *audit.Record) { *r = awkward(270) })
	w.Seal(t)
	witness := audittest.NewWitnessKey("witness.example/w1")
	text, _, _ := strings.Cut(string(w.Checkpoints.Current), "\n\n")
	w.Checkpoints.Set(audittest.SignedNote(t, text+"\n", witness, audittest.Signer(t)))
	return proved(t, w, 3, 270, 600)
}

func encode(t *testing.T, b audit.Bundle) []byte {
	t.Helper()
	data, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func proved(t *testing.T, w *audittest.World, seqs ...uint64) []byte {
	t.Helper()
	b, err := w.Log.Prove(t.Context(), seqs...)
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, b)
}

func TestPythonAgreesOnGoodBundles(t *testing.T) {
	key := audittest.Key(t).VerifierKey(audittest.Origin)
	if out, ok := checkInPython(t, signedBundle(t), "--log-key", key); !ok || strings.Count(out, "in the log\n") != 3 {
		t.Errorf("three records: %v\n%s", ok, out)
	}
	// Every shape of a small tree, and the leaf at every place of it.
	for n := 1; n <= 9; n++ {
		w := audittest.NewWorld(t, n)
		w.Seal(t)
		var all []uint64
		for seq := range n {
			all = append(all, uint64(seq+1))
		}
		if out, ok := checkInPython(t, proved(t, w, all...), "--log-key", key); !ok {
			t.Errorf("%d records: %s", n, out)
		}
	}
}

func TestPythonChecksThePlatformsSignature(t *testing.T) {
	b, err := bundle.Parse(signedBundle(t))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "signature.key")
	rows := []struct {
		name    string
		key     string
		entries []audit.Entry
		want    string
	}{
		{"signed", audittest.PlatformKey, b.Entries[:1], audittest.Origin + ", sequence 3: in the log; signed with the given key\n"},
		{"key file with a newline", audittest.PlatformKey + "\n", b.Entries[:1], "; signed with the given key\n"},
		{"another key", audittest.PlatformKey + "x", b.Entries[:1], "NOT PROVED: " + audittest.Origin + ", sequence 3: in the log, but contradicts itself\n"},
		{"not signed", audittest.PlatformKey, b.Entries[1:2], audittest.Origin + ", sequence 270: in the log; nothing signed\n"},
	}
	for _, row := range rows {
		if err := os.WriteFile(file, []byte(row.key), 0o600); err != nil {
			t.Fatal(err)
		}
		data := encode(t, audit.Bundle{Checkpoint: b.Checkpoint, First: b.First, Entries: row.entries})
		out, ok := checkInPython(t, data, "--log-key", audittest.Key(t).VerifierKey(audittest.Origin), "--signature-key-file", file)
		if ok == strings.HasPrefix(row.want, "NOT") || !strings.HasSuffix(out, row.want) {
			t.Errorf("%s: %v, %q, want %q", row.name, ok, out, row.want)
		}
	}
}

func TestPythonRefusesWhatGoRefuses(t *testing.T) {
	good, key := signedBundle(t), audittest.Key(t).VerifierKey(audittest.Origin)
	stranger, err := logkey.Generate("test")
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("the bundle has no %s", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	b, err := bundle.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	signature := bytes.Clone(good)
	signature[bytes.LastIndex(good, []byte("— "+audittest.Origin+" "))+60] ^= 1
	rows := []struct {
		name   string
		bundle []byte
		key    string
	}{
		{"another signature", signature, key},
		{"another log key", good, stranger.VerifierKey(audittest.Origin)},
		{"key of another log", good, audittest.Key(t).VerifierKey(audit.Origin("receiver", "test", "ATTEMPTS"))},
		{"no key", good, "hello"},
		{"a key with another ID", good, strings.Replace(key, "+23417cb3+", "+23417cb4+", 1)},
		{"another format", replace("evidence/v1", "evidence/v2"), key},
		{"another size", replace(`\n600\n`, `\n601\n`), key},
		{"another root", replace(`\n600\n`, `\n600\nA`), key},
		{"another origin", replace(`"receiver/test/JOBS\n`, `"receiver/test/jobs\n`), key},
		{"another body", replace(`"AP8NCg=="`, `"AP8NCw=="`), key},
		{"another header", replace(`"plain"`, `"Plain"`), key},
		{"a header value more", replace(`"none"`, `"none", ""`), key},
		{"another subject", replace("jobs.demo.3.finished", "jobs.demo.4.finished"), key},
		{"another stream", replace(`"stream": "JOBS"`, `"stream": "OBS"`), key},
		{"another time", replace("02.123456789Z", "02.123456788Z"), key},
		{"a time with more behind", replace("02.123456789Z", "02.123456789Z."), key},
		{"another time zone", replace("02.123456789Z", "02.123456789+01:00"), key},
		{"another sequence", replace(`"sequence": 3,`, `"sequence": 4,`), key},
		{"a sequence beyond", replace(`"sequence": 3,`, `"sequence": 601,`), key},
		{"a negative sequence", replace(`"sequence": 3,`, `"sequence": -1,`), key},
		{"another first", replace(`"first_sequence": 1,`, `"first_sequence": 2,`), key},
		{"a key twice", replace(`"sequence": 3,`, `"sequence": 3, "sequence": 3,`), key},
		{"a key missing", replace(`"first_sequence": 1,`, ``), key},
		{"no proof", replace(`"proof": [`, `"proof": [], "x": [`), key},
		{"a record twice", encode(t, audit.Bundle{Checkpoint: b.Checkpoint, First: b.First, Entries: []audit.Entry{b.Entries[0], b.Entries[0]}}), key},
		{"records out of order", encode(t, audit.Bundle{Checkpoint: b.Checkpoint, First: b.First, Entries: []audit.Entry{b.Entries[1], b.Entries[0]}}), key},
		{"no record", replace(`"records": [`, `"records": [], "x": [`), key},
		{"something after", append(bytes.Clone(good), '{'), key},
		{"no JSON", []byte("hello"), key},
		{"nothing", nil, key},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if out, ok := checkInPython(t, row.bundle, "--log-key", row.key); ok || !strings.Contains(out, "NOT PROVED") {
				t.Errorf("Python: %v, %s", ok, out)
			}
			if keys, err := audit.ParseKeys([]string{row.key}, nil); err == nil && passes(row.bundle, keys) {
				t.Error("Go: it passes")
			}
		})
	}
}

// TestPythonChecksConsistency holds that the checker in Python agrees on the proofs from all sizes
// to those of a small tree, and on those that are wrong.
func TestPythonChecksConsistency(t *testing.T) {
	w, all := grown(t, 8)
	dir, key := t.TempDir(), audittest.Key(t).VerifierKey(audittest.Origin)
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	python := func(proof []byte, old, later audit.Checkpoint) (string, bool) {
		out, err := exec.CommandContext(t.Context(), "python3", "../../../examples/check_consistency.py",
			file("later", later.Note), file("old", old.Note), "--proof", file("proof", proof), "--log-key", key).CombinedOutput()
		return string(out), err == nil
	}
	for i, old := range all {
		for _, later := range all[max(i, 7):] {
			c := consistency(t, w, old, later)
			text, err := bundle.EncodeConsistency(c)
			if err != nil {
				t.Fatal(err)
			}
			if out, ok := python(text, old, later); !ok {
				t.Errorf("%d to %d: %s", old.Tree.N, later.Tree.N, out)
			}
		}
	}
	good, err := bundle.EncodeConsistency(consistency(t, w, all[3], all[7]))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"another format": bytes.Replace(good, []byte("consistency/v1"), []byte("consistency/v2"), 1),
		"another size":   bytes.Replace(good, []byte(`"old_size": 3`), []byte(`"old_size": 4`), 1),
		"no proof":       append(good[:bytes.IndexByte(good, '['):bytes.IndexByte(good, '[')], "[]}"...),
	} {
		if out, ok := python(bad, all[3], all[7]); ok || !strings.Contains(out, "NOT PROVED") {
			t.Errorf("%s: it passes: %s", name, out)
		}
	}
	if out, ok := python(good, all[4], all[7]); ok {
		t.Errorf("the proof of another checkpoint passes: %s", out)
	}
}
