//go:build e2e

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// TestNothingIsAnsweredBeforeItsFsync holds the promise of nats.sync: always against the
// kernel's own word: strace writes down, in their order, every write and every fsync of a
// real serve, and no 200 may have left before an fsync that followed the write of its event.
// Under interval the same look must find that none had.
func TestNothingIsAnsweredBeforeItsFsync(t *testing.T) {
	for _, sync := range []string{"always", "interval"} {
		t.Run(sync, func(t *testing.T) {
			acks, most, early := traced(t, sync).judge()
			t.Logf("%d answers 200 over events, %d of them before their fsync; up to %d events for one fsync", acks, len(early), most)
			if acks < aloneJobs+crowdJobs {
				t.Errorf("strace saw %d answers 200, want at least %d", acks, aloneJobs+crowdJobs)
			}
			switch {
			case sync == "interval" && len(early) < acks:
				t.Errorf("%d of %d answers came before an fsync under interval, want all: the look is blind", len(early), acks)
			case sync == "always" && len(early) > 0:
				t.Errorf("%d of %d answers came before their fsync, want none; the first: %s", len(early), acks, early[0])
			}
			if sync == "always" && most < 2 {
				t.Error("no two events shared an fsync: no group commit was tried")
			}
		})
	}
}

// The callbacks of one run: so many one after the other, then so many that come twice each
// from crowdSides sides at once.
const (
	aloneJobs  = 30
	crowdJobs  = 600
	crowdSides = 64
)

// traced runs serve under strace while callbacks come, and returns what strace saw.
func traced(t *testing.T, sync string) *trace {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace (Debian: apt-get install strace)")
	}
	if out, err := exec.Command(strace, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here (a container needs --cap-add SYS_PTRACE): %v: %s", err, out)
	}
	dir := t.TempDir()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeConfig(dir, p, "nats:\n  sync: "+sync+"\n  embedded:\n    address: 127.0.0.1:"+p.nats+"\n"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "strace.txt")
	// With -D the tracer is a grandchild, so that signals and the exit code are receiver's own.
	serve := startWith(t, dir, strace, "-D", "-f", "--seccomp-bpf", "-y", "-s", fmt.Sprint(16<<20), "-o", file,
		"-e", "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync", "receiver", "serve")
	public, _ := serve.listening(t)
	callBack(t, newCaller(public))
	if code, err := serve.end(syscall.SIGTERM); err != nil || code != 0 {
		t.Fatalf("serve = exit %d, %v, want 0", code, err)
	}
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	seen, err := readTrace(text)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// callBack sends callbacks one by one, then concurrently, each twice.
func callBack(t *testing.T, c caller) {
	t.Helper()
	for i := range aloneJobs {
		if _, _, err := c.finished(t.Context(), fmt.Sprintf("alone-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	ids := make(chan string)
	var sides sync.WaitGroup
	for range crowdSides {
		sides.Go(func() {
			for id := range ids {
				if _, _, err := c.finished(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 2 * crowdJobs {
		ids <- fmt.Sprintf("crowd-%d", i/2)
	}
	close(ids)
	sides.Wait()
}
