package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the scripts of testdata/script: each holds one promise to users
// against the real program. A script begins in a folder with a config.yaml whose
// addresses are free, and in $PUBLIC, $PRIVATE, $NATS and $PLATFORM, with the keys
// signature.key and wrong.key. Beside what testscript knows, there is
//
//	code N PROGRAM ARGS…             runs to the end, which must be exit code N
//	start NAME [K=V…] PROGRAM ARGS…  runs beside the script
//	waitlog NAME PATTERN             waits for a match in its standard error;
//	                                 named groups become variables
//	waitout NAME PATTERN             the same, in its standard output
//	end NAME SIGNAL N                ends it by SIGNAL, - for none, with exit code N;
//	                                 stdout and stderr are then all that it printed
//	signal NAME SIGNAL               sends it a signal that does not end it
//	post [-X M] [-H H]… [-key FILE] [-chunked] URL [FILE]
//	                                 sends a request and prints the answer
//	flood URL                        sends callbacks of 60,000 bytes without a right signature for 0.3 s
//	consume FILE                     takes and acknowledges events by the lines in it that
//	                                 consumers add printed, and prints their subjects
//	digest FOLDER                    prints name, mode and SHA-256 of every file
//	readenv FILE                     takes K=V lines as variables
//	contract WANTED…                 holds all messages in the streams to api/asyncapi.yaml, and
//	                                 waits for these: CHANNEL/MESSAGE, SUBJECT or HEADER=VALUE
//	alone                            keeps out other scripts that say so
//
// Nothing that a program prints may hold a secret of its configuration: that is looked
// at whenever one ends, in every script.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			p, err := newPorts()
			if err != nil {
				return err
			}
			env.Setenv("GORACE", quickRace)
			env.Setenv("PUBLIC", "http://127.0.0.1:"+p.public)
			env.Setenv("PRIVATE", "http://127.0.0.1:"+p.private)
			env.Setenv("NATS", "nats://127.0.0.1:"+p.nats)
			env.Setenv("PLATFORM", "http://127.0.0.1:"+p.platform)
			env.Values[running{}] = map[string]*process{}
			if err := writeConfig(env.WorkDir, p); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "wrong.key"), []byte("another-key\n"), 0o600)
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": codeCommand, "start": startCommand, "end": endCommand, "signal": signalCommand,
			"waitlog": waitCommand(func(p *process) *output { return p.log }),
			"waitout": waitCommand(func(p *process) *output { return p.out }),
			"post":    postCommand, "digest": digestCommand, "alone": aloneCommand, "readenv": readenvCommand,
			"consume": consumeCommand, "flood": floodCommand, "contract": contractCommand,
		},
	})
}

// running is the key of a script's processes, by name.
type running struct{}

func processes(ts *testscript.TestScript) map[string]*process {
	return ts.Value(running{}).(map[string]*process)
}

func use(ts *testscript.TestScript, neg bool, ok bool, usage string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	use(ts, neg, len(args) >= 2, "code N PROGRAM ARGS…")
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if want := number(ts, args[0]); got != want {
		ts.Fatalf("%s ended with exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
	tellsNoSecret(ts, ts.ReadFile("stdout")+ts.ReadFile("stderr"))
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

func startCommand(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "start NAME [K=V…] PROGRAM ARGS…"
	use(ts, neg, len(args) >= 2, usage)
	name, args := args[0], args[1:]
	var env []string
	for _, v := range []string{"PATH", "HOME", "TMPDIR", "WORK", "GORACE"} {
		env = append(env, v+"="+ts.Getenv(v))
	}
	for len(args) > 0 && strings.Contains(args[0], "=") {
		env, args = append(env, args[0]), args[1:]
	}
	use(ts, neg, len(args) > 0, usage)
	if processes(ts)[name] != nil {
		ts.Fatalf("%s runs already", name)
	}
	p, err := startProcess(ts.MkAbs("."), env, args[0], args[1:]...)
	ts.Check(err)
	processes(ts)[name] = p
	ts.Defer(func() {
		p.kill()
		ts.Logf("[%s, standard output]\n%s[%s, standard error]\n%s", name, tail(p.out.String()), name, tail(p.log.String()))
	})
}

func find(ts *testscript.TestScript, name string) *process {
	p := processes(ts)[name]
	if p == nil {
		ts.Fatalf("nothing was started under the name %s", name)
	}
	return p
}

func waitCommand(of func(*process) *output) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		use(ts, neg, len(args) == 2, "waitlog|waitout NAME PATTERN")
		pattern, err := regexp.Compile("(?m)" + args[1])
		ts.Check(err)
		p := find(ts, args[0])
		m, err := p.wait(of(p), pattern)
		ts.Check(err)
		for i, variable := range pattern.SubexpNames() {
			if variable != "" {
				ts.Setenv(variable, m[i])
			}
		}
	}
}

var signals = map[string]syscall.Signal{"-": 0, "HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}

func endCommand(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "end NAME INT|TERM|KILL|- N"
	use(ts, neg, len(args) == 3, usage)
	s, ok := signals[args[1]]
	use(ts, neg, ok, usage)
	p := find(ts, args[0])
	got, err := p.end(s)
	ts.Check(err)
	if want := number(ts, args[2]); got != want {
		ts.Fatalf("%s ended with exit code %d, want %d; it said:\n%s", args[0], got, want, tail(p.log.String()))
	}
	delete(processes(ts), args[0])
	tellsNoSecret(ts, p.out.String()+p.log.String())
	fmt.Fprint(ts.Stdout(), p.out)
	fmt.Fprint(ts.Stderr(), p.log)
}

func signalCommand(ts *testscript.TestScript, neg bool, args []string) {
	use(ts, neg, len(args) == 2 && signals[args[1]] != 0, "signal NAME SIGNAL")
	ts.Check(find(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// secretSetting is a secret written out in a configuration.
var secretSetting = regexp.MustCompile(`(?m)^\s*(?:\w*token|\w*secret|value|password): ["']?([^"'\s]+)["']?$`)

// tellsNoSecret fails the script if a text holds a secret of a configuration in its folder.
func tellsNoSecret(ts *testscript.TestScript, text string) {
	for _, depth := range []string{"*", "*/*"} {
		files, err := filepath.Glob(filepath.Join(ts.Getenv("WORK"), depth))
		ts.Check(err)
		for _, file := range files {
			for _, secret := range secretsOf(ts, file) {
				if secret != "" && strings.Contains(text, secret) {
					ts.Fatalf("a secret of %s was printed", file)
				}
			}
		}
	}
}

func secretsOf(ts *testscript.TestScript, file string) []string {
	switch filepath.Ext(file) {
	case ".key":
		return []string{strings.TrimSuffix(ts.ReadFile(file), "\n")}
	case ".yaml":
		var all []string
		for _, m := range secretSetting.FindAllStringSubmatch(ts.ReadFile(file), -1) {
			if !strings.HasPrefix(m[1], "file:") && !strings.HasPrefix(m[1], "env:") {
				all = append(all, m[1])
			}
		}
		return all
	}
	return nil
}

func digestCommand(ts *testscript.TestScript, neg bool, args []string) {
	use(ts, neg, len(args) == 1, "digest FOLDER")
	root := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum := "-"
		if !d.IsDir() {
			body, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = digest(body)
		}
		fmt.Fprintf(ts.Stdout(), "%s %v %s\n", strings.TrimPrefix(path, root), info.Mode(), sum)
		return nil
	}))
}

// The demo takes well-known ports if they are free, and another demo could be as quick.
var demoPorts sync.Mutex

func aloneCommand(ts *testscript.TestScript, neg bool, args []string) {
	use(ts, neg, len(args) == 0, "alone")
	demoPorts.Lock()
	ts.Defer(demoPorts.Unlock)
}

func readenvCommand(ts *testscript.TestScript, neg bool, args []string) {
	use(ts, neg, len(args) == 1, "readenv FILE")
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		use(ts, neg, ok, "readenv FILE, of K=V lines")
		ts.Setenv(name, value)
	}
}
