package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"receiver/internal/bench"
)

// TestMain lets the program under test start itself as its generator.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "--generator" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) //nolint:forbidigo // it is main
	}
	m.Run()
}

// ran runs the program to its end.
func ran(ctx context.Context, args ...string) (code int, out, talk string) {
	var o, e bytes.Buffer
	code = run(ctx, args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// match fails the test for each pattern that is not in text.
func match(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)" + p).MatchString(text) {
			t.Errorf("no %q in:\n%s", p, text)
		}
	}
}

func TestWrongUse(t *testing.T) {
	file := keyFile(t, "a-key")
	for _, tt := range []struct{ args, want string }{
		{"", "give --self, or --url, --source and --key-file"},
		{"bench", `"bench" is not a flag`},
		{"--selff", "unknown flag: --selff; see `receiver-bench --help`"},
		{"--url http://example.com --source demo --key-file " + file, "the receiver must be on this host; use 127.0.0.1 or localhost"},
		{"--url http://10.1.2.3:8080 --source demo --key-file " + file, "the receiver must be on this host"},
		{"--url https://127.0.0.1:8080 --source demo --key-file " + file, "want http://HOST:PORT/PATH"},
		{"--url http://127.0.0.1:8080 --source demo --key-file " + file + ".none", "no such file"},
		{"--self --duplicates 0.5", "--duplicates is for --url"},
		{"--self --sync never", `--sync "never" is not always or interval`},
		{"--self --connections 0 --body 1", "0 connections, want 1 to 10000"},
		{"--self --connections 0 --body 1", "a body of 1 bytes"},
	} {
		code, out, talk := ran(t.Context(), strings.Fields(tt.args)...)
		if code != 2 || out != "" || !strings.Contains(talk, tt.want) {
			t.Errorf("%s: exit %d, printed %q and said %q, want 2 and %q", tt.args, code, out, talk, tt.want)
		}
	}
}

func keyFile(t *testing.T, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signature.key")
	if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A running receiver handles a mixed load, and every answer is counted.
func TestAReceiverThatRuns(t *testing.T) {
	b, err := newSelfBench(benchFlags{folder: t.TempDir(), alternations: 1, load: bench.Load{Connections: 4, Duration: time.Second, Body: 246, LargeBody: 20_000}})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := b.config(b.folder, "interval")
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.receiver(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	}()
	put := func(key, more string) (int, string, string) {
		args := "--url " + m.url + " --source " + benchSource + " --key-file " + keyFile(t, key) + " --connections 4 --duration 200ms " + more
		return ran(t.Context(), strings.Fields(args)...)
	}
	code, out, talk := put(string(b.load.Key), "--duplicates 0.2 --refusals 0.2 --large 0.1 --large-body 20000 --json")
	if code != 0 {
		t.Errorf("exit %d: %s", code, talk)
	}
	match(t, talk, `^sending to http://127.0.0.1:\d+/callbacks/bench for 250ms, seed \d+; Ctrl-C`)
	match(t, out, `^\{"requests":[1-9]\d*,"elapsed_seconds":0\.\d+,"requests_per_second":[1-9].*"latency_ms":\{"p50":[\d.]+,"p99":[\d.]+,"p99.9":[\d.]+,"max":[\d.]+\}`,
		`"200 accepted":[1-9]`, `"200 duplicate":[1-9]`, `"401":[1-9]`, `"unexpected":0,"failed":0,"behind":0`)

	// The seed sets the ids of the jobs; at a fixed rate no more requests are sent than are due.
	code, out, talk = put(string(b.load.Key), "--rate 100 --seed 7")
	if code != 0 {
		t.Errorf("exit %d: %s", code, talk)
	}
	match(t, out, `^requests +([1-9]|1\d|20) in `, `200 accepted:[1-9]`)
	if code, _, talk = put("another-key", ""); code != 1 || !strings.Contains(talk, "check the address, the source and the key") {
		t.Errorf("with a wrong key: exit %d, %s, want 1 and what to look at", code, talk)
	}
}

// The receiver is measured against its ceiling, by a generator in a process of its own.
func TestSelf(t *testing.T) {
	code, out, talk := ran(t.Context(), strings.Fields("--self --sync interval --alternations 1 --duration 100ms --connections 4 --json --folder "+t.TempDir())...)
	if code != 0 {
		t.Errorf("exit %d: %s", code, talk)
	}
	match(t, talk, `^6 subjects, 1 measurements each, 100ms each: about `)
	match(t, out, `^\{"alternations":1,"complete":true,"machine":\{"os":"\w+","arch":"\w+","cpus":\d+,"go":"go1`,
		`"load":\{"connections":4,"rate":0,"seconds":0.1,"body_bytes":246,"stored_bytes":1\d\d\d\}`,
		`"lane":"ceiling","sync":"interval","publishing":"one by one"`, `"lane":"receiver, accepted","sync":"interval","publishing":"one by one"`,
		`"answers":\{"200 accepted":[1-9]\d*\}`, `"answers":\{"200 duplicate":[1-9]\d*\}`, `"ratio":"refused / Echo\+HMAC"`)
}

// Ctrl-C prints what there is.
func TestSelfIsBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	talk := &until{text: "2/50  receiver, refused", then: cancel}
	args := "--self --sync interval --alternations 50 --duration 50ms --connections 2 --json --folder " + t.TempDir()
	if code := run(ctx, strings.Fields(args), strings.NewReader(""), &out, talk); code != 0 {
		t.Errorf("exit %d: %s", code, talk.said.String())
	}
	match(t, out.String(), `^\{"alternations":[1-9]\d*,"complete":false,`)
}

// until calls then as soon as text was written to it.
type until struct {
	text string
	then func()
	said bytes.Buffer
}

// Write implements io.Writer.
func (u *until) Write(p []byte) (int, error) {
	u.said.Write(p)
	if strings.Contains(u.said.String(), u.text) {
		u.then()
	}
	return len(p), nil
}
