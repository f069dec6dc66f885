//go:build browser

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"receiver/internal/checkpage"
)

// TestTheCheckPageAgrees holds that the file for a browser comes to the conclusion of audit check
// on every kind of record that a receiver writes, and to its exit code, with a key and without.
func TestTheCheckPageAgrees(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("this test needs node, version 20 or later, for WebCrypto with Ed25519: install it, or leave out the tag `browser`")
	}
	o := newOrigins(t)
	type file struct {
		Name  string `json:"name"`
		Bytes []byte `json:"bytes"`
	}
	type check struct {
		Bundle        []byte   `json:"bundle"`
		LogKeys       []string `json:"log_keys"`
		SignatureKeys []file   `json:"signature_keys"`
		Bodies        []file   `json:"bodies"`
	}
	read := func(path string) file {
		data, err := os.ReadFile(path)
		o.must(err)
		return file{path, data}
	}
	var checks []check
	var names, said []string
	var codes []int
	for _, c := range o.all() {
		for _, withKey := range []bool{true, false} {
			if c.inGo {
				continue // by an identity, which the page does not take
			}
			path, key := o.bundle(c.record), o.logKey(c.record)
			args := append([]string{"audit", "check", path, "--log-key", key}, c.args...)
			asked := check{Bundle: read(path).Bytes, LogKeys: []string{key}}
			if withKey {
				args = append(args, "--signature-key-file", o.path("signature.key"))
				asked.SignatureKeys = []file{read(o.path("signature.key"))}
			}
			for i := 1; i < len(c.args); i += 2 { // each is --body
				asked.Bodies = append(asked.Bodies, read(c.args[i]))
			}
			code, out := o.run(args...)
			checks, names, said, codes = append(checks, asked), append(names, c.name), append(said, out), append(codes, code)
		}
	}
	in, err := json.Marshal(checks)
	o.must(err)
	cmd := exec.CommandContext(t.Context(), "node", "../../internal/checkpage/testdata/run.mjs", o.write(checkpage.Name, checkpage.Page()))
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	o.must(err)
	var answers []struct {
		Code           int
		Verdict, Why   string
		Unknown        string
		Lines          []string
		Records, Dates [][]string
	}
	o.must(json.Unmarshal(out, &answers))
	if len(answers) != len(checks) || len(checks) < 60 {
		t.Fatalf("%d answers on %d checks, want 60 or more", len(answers), len(checks))
	}
	for i, a := range answers {
		lines := append([]string{a.Verdict + ": " + a.Why}, a.Lines...)
		if a.Code != codes[i] || !strings.HasPrefix(said[i], strings.Join(lines, "\n")+"\n") || !strings.Contains(said[i], a.Unknown) {
			t.Errorf("%s: the page comes to %d, %s, %s\nthe command to %d, %s", names[i], a.Code, strings.Join(lines, "\n"), a.Unknown, codes[i], said[i])
		}
		for _, row := range append(a.Records, a.Dates...) {
			for _, cell := range row {
				if !strings.Contains(said[i], cell) {
					t.Errorf("%s: the page shows %q, the command\n%s", names[i], cell, said[i])
				}
			}
		}
	}
}
