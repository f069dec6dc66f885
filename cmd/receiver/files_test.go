//go:build unix

package main_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"receiver/internal/verify"
)

// All files of the receiver are readable by their owner only, also in a folder that all users may
// read.
func TestFilesAreReadableByTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := configured(t)
	var theirs []string
	for _, folder := range []string{"receiver-data", "anchor"} { // as an operator or systemd makes one
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "receiver", args...)
		cmd.Dir, cmd.Env = dir, environment()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("receiver %v: %v\n%s", args, err, out)
		}
	}
	command("audit", "init")
	settings, err := os.OpenFile(filepath.Join(dir, "config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.WriteString("audit: {key: \"file:log.key\", interval: 100ms, anchors: [{directory: anchor}]}\n"); err != nil {
		t.Fatal(err)
	}
	if err := settings.Close(); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "serve")
	public, _ := p.listening(t)
	large := append([]byte(`{"id":"2","status":"COMPLETED"}`), bytes.Repeat([]byte(" "), 8<<20-100)...) // to the object store
	for _, body := range [][]byte{[]byte(`{"id":"1","status":"COMPLETED"}`), large} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, public+"/callbacks/demo", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(verify.Header, sign(signatureKey, body))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
			t.Fatalf("a callback of %d bytes = %d", len(body), answer.StatusCode)
		}
	}
	command("tokens", "add", "prometheus", "--scope", "read")
	command("audit", "seal")
	command("audit", "export", "archive")
	look := func(when string) {
		t.Helper()
		n := 0
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil || path == dir || d.Type() == fs.ModeSymlink || strings.HasSuffix(path, "receiver-data") || filepath.Base(path) == "anchor" {
				return err
			}
			n++
			if info.Mode().Perm()&0o077 != 0 {
				theirs = append(theirs, when+": "+strings.TrimPrefix(path, dir)+" "+info.Mode().String())
			}
			return nil
		})
		if err != nil || n < 40 {
			t.Fatalf("%s: %d files, %v", when, n, err)
		}
	}
	look("while it runs")
	if code, err := p.end(syscall.SIGTERM); code != 0 || err != nil {
		t.Errorf("serve = exit %d, %v", code, err)
	}
	look("after it stopped")
	if len(theirs) > 0 {
		t.Errorf("others may read or enter\n%s", strings.Join(theirs, "\n"))
	}
}
