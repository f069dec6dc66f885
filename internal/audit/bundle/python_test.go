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

func proved(t *testing.T, w *audittest.World, seqs ...uint64) []byte {
	t.Helper()
	b, err := w.Log.Prove(t.Context(), seqs...)
	if err != nil {
		t.Fatal(err)
	}
	data, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return data
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
		{"signed", audittest.PlatformKey, b.Entries[:1], "signed by the platform\n"},
		{"key file with a newline", audittest.PlatformKey + "\n", b.Entries[:1], "signed by the platform\n"},
		{"another key", audittest.PlatformKey + "x", b.Entries[:1], "NOT PROVED: " + audittest.Origin + ", sequence 3: in the log, but this key did not sign it\n"},
		{"not signed", audittest.PlatformKey, b.Entries[1:], "NOT PROVED: " + audittest.Origin + ", sequence 270: in the log, but this key did not sign it\n"},
	}
	for _, row := range rows {
		if err := os.WriteFile(file, []byte(row.key), 0o600); err != nil {
			t.Fatal(err)
		}
		data, err := bundle.Encode(audit.Bundle{Checkpoint: b.Checkpoint, First: b.First, Entries: row.entries})
		if err != nil {
			t.Fatal(err)
		}
		out, ok := checkInPython(t, data, "--log-key", audittest.Key(t).VerifierKey(audittest.Origin), "--signature-key-file", file)
		if ok == strings.HasPrefix(row.want, "NOT") || !strings.HasSuffix(out, row.want) {
			t.Errorf("%s: %v, %q, want %q", row.name, ok, out, row.want)
		}
	}
}

// TestPythonDoesNotTakeAnEncryptedBodyForASignedOne holds that a key proves nothing over a
// body that is not the one that was signed, and refutes nothing either.
func TestPythonDoesNotTakeAnEncryptedBodyForASignedOne(t *testing.T) {
	w := audittest.NewWorld(t, 3)
	w.Stream.Change(2, func(r *audit.Record) { r.Header["receiver-encryption"] = []string{"age"} })
	w.Seal(t)
	key := audittest.Key(t).VerifierKey(audittest.Origin)
	file := filepath.Join(t.TempDir(), "signature.key")
	if err := os.WriteFile(file, []byte(audittest.PlatformKey), 0o600); err != nil {
		t.Fatal(err)
	}
	out, ok := checkInPython(t, proved(t, w, 2), "--log-key", key, "--signature-key-file", file)
	if want := audittest.Origin + ", sequence 2: in the log, encrypted: who signed it is not checked\n"; !ok || out != want {
		t.Errorf("with a key: %v, %q, want %q", ok, out, want)
	}
	out, ok = checkInPython(t, proved(t, w, 2), "--log-key", key)
	if want := audittest.Origin + ", sequence 2: in the log\n"; !ok || out != want {
		t.Errorf("without a key: %v, %q, want %q", ok, out, want)
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
	signature := bytes.Clone(good)
	signature[bytes.LastIndex(good, []byte("— "+audittest.Origin+" "))+60] ^= 1
	rows := []struct {
		name   string
		bundle []byte
		key    string
	}{
		{"another signature", signature, key},
		{"another log key", good, stranger.VerifierKey(audittest.Origin)},
		{"key of another log", good, audittest.Key(t).VerifierKey(audit.Origin("test", "ATTEMPTS"))},
		{"no key", good, "hello"},
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
