//go:build e2e

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/service/logs"
)

// The kernel reports the order of fsyncs: `streams mend` keeps the damaged file on disk before it
// replaces it, and both are on disk when it ends; an export reports success when its records are on
// disk.
func TestReportedSuccessIsOnDisk(t *testing.T) {
	dir := sealedFolder(t)
	calls := straced(t, dir, "audit", "export", "archive")
	for _, stream := range logs.Streams {
		folder := filepath.Join(dir, "archive", stream)
		inOrder(t, calls,
			`fsync .*`+folder+`/records/\d+$`, `fsync .*`+folder+`/records$`, `rename .*`+folder+`/checkpoint$`, `fsync .*`+folder+`$`)
	}
	e := editJobs(t, dir)
	e.number(2, 1<<40)
	e.save()
	folder, msgs := filepath.Join(dir, "receiver-data"), filepath.Dir(e.path)
	calls = straced(t, dir, "streams", "mend")
	for _, kept := range []string{`/damaged-[^/]*/JOBS-1\.blk$`, `/damaged-[^/]*$`, `$`} {
		inOrder(t, calls, `fsync .*`+folder+kept, `rename .*`+e.path+`$`)
	}
	inOrder(t, calls, `fsync .*`+msgs+`/\.new-\d+$`, `rename .*`+e.path+`$`, `fsync .*`+msgs+`$`)
}

var (
	straceSync   = regexp.MustCompile(`(?m)^\d+ +f(?:data)?sync\(\d+<([^>]*)>`)
	straceRename = regexp.MustCompile(`^\d+ +rename\w*\(.*"([^"]*)"`)
)

// straced runs a command in a folder, and returns its fsyncs and renames with the paths that
// they are of, in their order.
func straced(t *testing.T, dir string, args ...string) (calls []string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace (Debian: apt-get install strace)")
	}
	if out, err := exec.CommandContext(t.Context(), strace, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here (a container needs --cap-add SYS_PTRACE): %v: %s", err, out)
	}
	file := filepath.Join(t.TempDir(), "strace.txt")
	args = append([]string{"-f", "-y", "-s", "4096", "-o", file, "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "receiver"}, args...)
	command := exec.CommandContext(t.Context(), strace, args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("receiver %v: %v\n%s", args, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if m := straceSync.FindStringSubmatch(line); m != nil {
			calls = append(calls, "fsync /"+m[1])
		}
		if m := straceRename.FindStringSubmatch(line); m != nil {
			path := m[1]
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			calls = append(calls, "rename /"+path)
		}
	}
	return calls
}

// inOrder wants calls that match the patterns, one behind the other.
func inOrder(t *testing.T, calls []string, patterns ...string) {
	t.Helper()
	at := 0
	for _, p := range patterns {
		want := regexp.MustCompile(`^` + p)
		for at < len(calls) && !want.MatchString(calls[at]) {
			at++
		}
		if at == len(calls) {
			t.Fatalf("no %s where it has to be, of %q, in\n%s", p, patterns, strings.Join(calls, "\n"))
		}
		at++
	}
}
