package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// waitTimeout is how long a test waits for anything that another process does.
const waitTimeout = 20 * time.Second

// longTimeout is how long a run waits for what takes several processes and several
// tries: far above what it takes on a busy machine.
const longTimeout = 90 * time.Second

// process is a program run beside the test, with what it has printed so far.
type process struct {
	cmd      *exec.Cmd
	out, log *output // standard output and standard error
	done     chan struct{}
}

func startProcess(dir string, env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), out: newOutput(), log: newOutput(), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, p.out, p.log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState has the result
		close(p.done)
	}()
	return p, nil
}

// start runs receiver in a folder, and kills it at the end of the test at the latest.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	return startWith(t, dir, "receiver", args...)
}

// startWith does as start with any program.
func startWith(t *testing.T, dir, program string, args ...string) *process {
	t.Helper()
	p, err := startProcess(dir, environment(), program, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %v printed on standard error:\n%s", filepath.Base(program), args, tail(p.log.String()))
		}
	})
	return p
}

// quickRace is GORACE for programs that run under the race detector, which else waits a
// second for stragglers at every end of one.
const quickRace = "atexit_sleep_ms=0"

// environment is that of the tests without what would configure a receiver.
func environment() []string {
	env := []string{"GORACE=" + quickRace}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RECEIVER_") {
			env = append(env, v)
		}
	}
	return env
}

func tail(text string) string {
	const most = 8 << 10
	return text[max(0, len(text)-most):]
}

// listening waits until a receiver listens, and returns where.
func (p *process) listening(t *testing.T) (public, nats string) {
	t.Helper()
	m, err := p.wait(p.log, regexp.MustCompile(`"public":"([^"]+)".*"nats":"([^"]*)".*"message":"listening"`))
	if err != nil {
		t.Fatal(err)
	}
	return m[1], m[2]
}

// wait returns the first match in an output of the process, as soon as it is there.
func (p *process) wait(o *output, pattern *regexp.Regexp) ([]string, error) {
	timeout := time.NewTimer(waitTimeout)
	defer timeout.Stop()
	for ended := false; ; {
		m, changed := o.match(pattern)
		switch {
		case m != nil:
			return m, nil
		case ended:
			return nil, fmt.Errorf("the process ended (%v) without %q in its output:\n%s", p.cmd.ProcessState, pattern, tail(o.String()))
		}
		select {
		case <-changed:
		case <-p.done:
			ended = true // one more look at what it printed last
		case <-timeout.C:
			return nil, fmt.Errorf("no %q within %v in the output:\n%s", pattern, waitTimeout, tail(o.String()))
		}
	}
}

// end sends a signal, 0 for none, waits for the end of the process, and returns its exit
// code: -1 if a signal ended it.
func (p *process) end(s syscall.Signal) (int, error) {
	if s != 0 {
		if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return 0, fmt.Errorf("sending %v: %w", s, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("the process goes on %v after %v:\n%s", waitTimeout, s, tail(p.log.String()))
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// output collects what a process prints, and lets others wait for it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced by every write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write adds to the output.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

// String returns the output so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// match looks for a pattern, and returns what is closed when it is time to look again.
func (o *output) match(pattern *regexp.Regexp) ([]string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return pattern.FindStringSubmatch(o.text.String()), o.changed
}
