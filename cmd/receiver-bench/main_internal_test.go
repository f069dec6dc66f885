package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/bench"
	"receiver/internal/bench/ceiling"
	"receiver/internal/cluster"
	"receiver/internal/config"
	"receiver/internal/service"
)

// TestMain makes this test binary each of the programs that are measured: those of receiver-bench
// itself, a receiver, and a peer, whose configuration is that of the bare handler.
func TestMain(m *testing.M) {
	flag, file := "", ""
	if len(os.Args) > 2 {
		flag, file = os.Args[1], os.Args[2]
	}
	code := 0
	switch program := os.Getenv(asProgram); {
	case program != "":
		code = be(program)
	case flag == "--config":
		code = serve(file)
	case flag == "-c":
		options, _ := os.ReadFile(file) // without them, it fails
		os.Args[1] = string(options)
		code = be(asHandler)
	default:
		code = m.Run()
	}
	os.Exit(code) //nolint:forbidigo // it is main
}

// serve is the command of the receiver.
func serve(file string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := config.Load(config.Options{Path: file})
	if err == nil {
		var in *service.Instance
		if in, err = service.Start(ctx, cfg, zerolog.New(os.Stderr)); err == nil {
			err = errors.Join(in.Run(ctx, nil), in.Stop())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// ran runs the program to its end.
func ran(ctx context.Context, args ...string) (code int, out, talk string) {
	var o, e bytes.Buffer
	code = run(ctx, args, &o, &e)
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
		{"--self --lanes never", `--lanes "never" does not exist; choose from always, interval, external, peer, external-always, cluster, refused, sealing`},
		{"--self --lanes peer --peer bento", "--lanes peer needs --peer and --peer-config"},
		{"--self --peer bento", "--lanes peer needs --peer and --peer-config"},
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
	b, err := newSelfBench(benchFlags{
		folder: t.TempDir(), receiver: os.Args[0], alternations: 1, load: bench.Load{Connections: 4, Duration: time.Second, Body: 246},
	})
	if err != nil {
		t.Fatal(err)
	}
	program, address, err := b.program(t.Context(), subject{receiver, interval}, b.folder, &cluster.Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	program.Log = filepath.Join(b.folder, "log")
	p, err := program.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	put := func(key, more string) (int, string, string) {
		args := "--url " + strings.TrimSuffix(address, "/callbacks/"+benchSource) + " --source " + benchSource + " --key-file " + keyFile(t, key) + " --connections 4 --duration 200ms " + more
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
	match(t, out, `^\| requests +\| ([1-9]|1\d|20) in `, `200 accepted:[1-9]`)
	if code, _, talk = put("another-key", ""); code != 1 || !strings.Contains(talk, "check the address, the source and the key") {
		t.Errorf("with a wrong key: exit %d, %s, want 1 and what to look at", code, talk)
	}
}

func address(t *testing.T) string {
	t.Helper()
	a, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Every program is measured at every kind of store, in a process of its own.
func TestSelf(t *testing.T) {
	nats, callbacks := address(t), address(t)
	options, err := json.Marshal(ceiling.Options{Listen: callbacks, Key: benchKey, URLs: []string{"nats://" + nats}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "peer.json")
	if err := os.WriteFile(file, options, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, talk := ran(t.Context(), append(strings.Fields("--self --json --alternations 1 --duration 100ms --connections 4"),
		"--lanes", strings.Join(laneNames(), ","), "--folder", t.TempDir(), "--receiver", os.Args[0],
		"--peer", os.Args[0], "--peer-config", file, "--peer-url", "http://"+callbacks+"/callbacks/demo", "--peer-nats", nats)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, talk)
	}
	match(t, talk, `^15 subjects, 1 measurements each, 100ms each: about `)
	match(t, out, `^\{"alternations":1,"complete":true,"machine":\{"os":"\w+","arch":"\w+","cpus":\d+,"go":"go1`,
		`"load":\{"connections":4,"rate":0,"seconds":0.1,"body_bytes":246\}`)
	var got bench.Report
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	lanes, outside := map[string]bench.LaneReport{}, 0.0
	for _, l := range got.Lanes {
		lanes[l.String()] = l
	}
	for name, answer := range map[string]string{
		"receiver, always": "200 accepted", "bare handler, always": "200 stored",
		"receiver, interval": "200 accepted", "bare handler, interval": "200 stored",
		"receiver, external": "200 accepted", "bare handler, external": "200 stored", "peer, external": "200 stored",
		"receiver, external, always": "200 accepted", "bare handler, external, always": "200 stored",
		"receiver, cluster, R3": "200 accepted", "bare handler, cluster, R3": "200 stored",
		"receiver, refused, always": "401", "Echo+HMAC": "401",
		"receiver, sealing, always": "200 accepted", "receiver, sealing, interval": "200 accepted",
	} {
		l, measured := lanes[name]
		if !measured {
			t.Errorf("%s was not measured", name)
			continue
		}
		if s := l.Samples[0]; s.Requests == 0 || s.Answers[answer] != s.Requests {
			t.Errorf("%s answered %v, want %s", name, s.Answers, answer)
		}
		outside += l.Samples[0].Servers
		if embedded := !strings.Contains(name, "external") && !strings.Contains(name, "cluster"); embedded && l.Samples[0].Servers > 0 {
			t.Errorf("%s used %.1f µs of a server outside", name, l.Samples[0].Servers)
		}
	}
	if runtime.GOOS == "linux" && outside == 0 {
		t.Error("no server outside used any CPU time")
	}
}

// Ctrl-C prints what there is.
func TestSelfIsBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	talk := &until{text: "2/50  receiver, refused", then: cancel}
	args := "--self --receiver " + os.Args[0] + " --lanes refused --alternations 50 --duration 50ms --connections 2 --json --folder " + t.TempDir()
	if code := run(ctx, strings.Fields(args), &out, talk); code != 0 {
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
