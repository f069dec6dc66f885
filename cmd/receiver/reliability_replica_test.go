package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"
)

// replica is one receiver with the folder it is configured in.
type replica struct {
	dir, public, private string
	program              []string // with its first arguments; empty means receiver
	*process
}

// write replaces a file of a replica's folder at once, as configuration tools do.
func (r *replica) write(t *testing.T, name, text string) {
	t.Helper()
	whole := filepath.Join(r.dir, name)
	if err := os.WriteFile(whole+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(whole+".new", whole); err != nil {
		t.Fatal(err)
	}
}

// up starts a receiver, for the first time or again.
func (r *replica) up(t *testing.T) {
	t.Helper()
	program := r.program
	if len(program) == 0 {
		program = []string{"receiver"}
	}
	r.process = startWith(t, r.dir, program[0], append(slices.Clone(program[1:]), "serve")...)
	r.listening(t)
}

// awaitLog waits for a line with a match in what a replica logs after the first bytes of
// its log, and returns the match.
func (r *replica) awaitLog(t *testing.T, after int, pattern string) []string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	timeout := time.NewTimer(longTimeout)
	defer timeout.Stop()
	for {
		lines, changed := r.log.after(after)
		if m := expression.FindStringSubmatch(lines); m != nil {
			return m
		}
		after += len(lines)
		select {
		case <-changed:
		case <-r.done:
			t.Fatalf("the receiver ended without %q in its log", pattern)
		case <-timeout.C:
			t.Fatalf("no %q within %v in the receiver's log", pattern, longTimeout)
		}
	}
}

// after returns the whole lines after the first bytes of an output, and what is closed
// when it is time to look again.
func (o *output) after(n int) (lines string, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.Bytes()[n:]
	return string(text[:1+bytes.LastIndexByte(text, '\n')]), o.changed
}

// logged is how much a replica has logged so far.
func (r *replica) logged() int { return len(r.log.String()) }

// command runs receiver in a replica's folder to its end, and returns its exit code and
// what it printed.
func (r *replica) command(t *testing.T, args ...string) (int, string) {
	t.Helper()
	p := start(t, r.dir, args...)
	code, err := p.end(0)
	if err != nil {
		t.Fatal(err)
	}
	return code, p.out.String() + p.log.String()
}

func (r *replica) read(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (r *replica) hup(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}
