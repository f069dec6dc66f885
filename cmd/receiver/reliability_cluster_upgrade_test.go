//go:build e2e

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"receiver/internal/cluster"
)

// previous is the release before this one. None has a tag yet, so it is the commit with
// which the last work but this was done.
const previous = "b9ee2b4"

// TestReliabilityClusterUpgrade replaces three receivers of the previous release behind a
// balancer by this one, one after the other under load, and then goes back.
func TestReliabilityClusterUpgrade(t *testing.T) {
	old := buildPrevious(t)
	c := startCluster(t, cluster.Options{})
	front, receivers := c.balanced(t, 3, quickTimeout, old)
	l := pourInto(t, "http://"+front.addr)
	l.more(c, enoughAcked)
	at := time.Now()
	for _, program := range [][]string{nil, {old}} {
		for i, r := range receivers {
			if code, err := r.end(syscall.SIGTERM); err != nil || code != 0 {
				t.Errorf("receiver %d ended with exit code %d, %v, want 0", i, code, err)
			}
			l.more(c, enoughAcked)
			r.program = program
			r.up(t)
			l.more(c, enoughAcked)
		}
	}
	l.judge(c, "three receivers of the release before replaced by this one, one by one, and back again", l.silence(at))
}

// balanced is a balancer with so many receivers behind it, which program runs.
func (c *natsCluster) balanced(t *testing.T, n int, more string, program ...string) (*front, []*replica) {
	t.Helper()
	var receivers []*replica
	var behind []string
	for range n {
		r := c.configured(t, more)
		r.program = program
		r.up(t)
		receivers = append(receivers, r)
		behind = append(behind, strings.TrimPrefix(r.public, "http://"))
	}
	return newFront(t, behind...), receivers
}

// buildPrevious builds the previous release from the history of the repository.
func buildPrevious(t *testing.T) (program string) {
	t.Helper()
	git := func(args ...string) ([]byte, error) {
		return exec.CommandContext(t.Context(), "git", args...).Output()
	}
	if _, err := git("cat-file", "-e", previous+"^{commit}"); err != nil {
		t.Skipf("the release before, commit %s, is not in this repository's history (git fetch --unshallow): %v", previous, err)
	}
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		t.Fatal(err)
	}
	archive, dir := filepath.Join(t.TempDir(), "previous.tar"), t.TempDir()
	if _, err := git("-C", strings.TrimSpace(string(root)), "archive", "--output", archive, previous); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "tar", "-xf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", archive, err, said)
	}
	program = filepath.Join(dir, "receiver-of-before")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/receiver")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building commit %s: %v\n%s", previous, err, said)
	}
	return program
}
