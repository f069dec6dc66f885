//go:build e2e

package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// storeFault is a receiver on an embedded store that something befalls, and the callbacks
// that it answered.
type storeFault struct {
	t            *testing.T
	dir, folder  string
	serve        *process
	caller       caller
	private      string
	acknowledged map[string]bool
	refused      int
	recovered    time.Duration
}

// startFault begins one, on that folder if there is any.
func startFault(t *testing.T, folder string) *storeFault {
	t.Helper()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	f := &storeFault{t: t, dir: t.TempDir(), folder: folder, private: "http://127.0.0.1:" + p.private, acknowledged: map[string]bool{}}
	if folder == "" {
		f.folder = filepath.Join(f.dir, "receiver-data")
	}
	more := fmt.Sprintf("nats:\n  embedded:\n    address: 127.0.0.1:%s\n    folder: %s\nlimits:\n  publish_timeout: 1s\n", p.nats, f.folder)
	if err := writeConfig(f.dir, p, more); err != nil {
		t.Fatal(err)
	}
	f.serve = start(t, f.dir, "serve")
	public, _ := f.serve.listening(t)
	f.caller = newCaller(public)
	return f
}

// call calls back for a job, and reports whether that was answered 200.
func (f *storeFault) call(id string) bool {
	f.t.Helper()
	_, ok, err := f.caller.finished(f.t.Context(), id)
	switch {
	case ok:
		f.acknowledged[id] = true
	case err != nil && strings.Contains(err.Error(), "503"):
		f.refused++
	case err != nil:
		f.t.Errorf("job %s: %v, want 200 or 503", id, err)
	}
	return ok
}

// until calls back for one job again and again, until it is answered as wanted.
func (f *storeFault) until(id string, want bool) {
	f.t.Helper()
	began := time.Now()
	for n := 0; f.call(fmt.Sprint(id, "-", n)) != want; n++ {
		if time.Since(began) > waitTimeout {
			f.t.Fatalf("no callback %s was answered as wanted within %v", id, waitTimeout)
		}
	}
	f.recovered = time.Since(began)
}

// ready returns the status of /readyz and what it says, and a metric.
func (f *storeFault) ready(metric string) (status int, says, value string) {
	f.t.Helper()
	status, says = f.get("/readyz")
	_, all := f.get("/metrics")
	for line := range strings.Lines(all) {
		if rest, ok := strings.CutPrefix(line, metric+" "); ok {
			value = strings.TrimSpace(rest)
		}
	}
	return status, says, value
}

func (f *storeFault) get(path string) (int, string) {
	f.t.Helper()
	answer, err := f.caller.client.Get(f.private + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// owner is JetStream for a client that has the store's key.
func (f *storeFault) owner() jetstream.JetStream {
	f.t.Helper()
	_, url := f.serve.listening(f.t)
	return owners(f.t, f.folder, url)
}

// row holds the streams to what was acknowledged, and prints a row of docs/reliability.md.
func (f *storeFault) row(what string) {
	f.t.Helper()
	events := finishedEvents(f.t, finished(f.t, f.owner()))
	doubled := 0
	for id := range f.acknowledged {
		if events[id] != 1 {
			f.t.Errorf("job %s was answered 200 and has %d events, want 1", id, events[id])
		}
		if events[id] > 1 {
			doubled++
		}
	}
	f.t.Logf("\n| %s | `%s` | %d | %d | %d | %d | %.1f s |", what, f.t.Name(), len(f.acknowledged), len(events), doubled, f.refused, f.recovered.Seconds())
}

// tmpfsOf mounts a small file system in memory.
func tmpfsOf(t *testing.T, options string) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, options+",mode=700"); err != nil {
		t.Skipf("needs the right to mount a file system (root): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) })
	return folder
}

// fill writes a file until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 1<<12))
	}
}

// inodes makes empty files until there is no room for another.
func inodes(t *testing.T, folder string) (remove func()) {
	t.Helper()
	dir := filepath.Join(folder, "inodes")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			break
		}
		_ = f.Close()
	}
	return func() { _ = os.RemoveAll(dir) }
}

// A store that must be started again while no inode is free is started when there are some.
func TestReliabilityStoreWithoutInodes(t *testing.T) {
	f := startFault(t, filepath.Join(tmpfsOf(t, "size=32m,nr_inodes=400"), "store"))
	f.until("before", true)
	if err := f.serve.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // else it sees the disk fill up
		t.Fatal(err)
	}
	ballast := filepath.Join(filepath.Dir(f.folder), "ballast")
	give := inodes(t, filepath.Dir(f.folder))
	_ = os.Remove(filepath.Join(filepath.Dir(f.folder), "inodes", "0"))
	fill(t, ballast)
	if err := f.serve.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	f.until("full", false)
	if err := os.Truncate(ballast, 0); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if f.call(fmt.Sprint("none", n)) {
			break
		}
		status, says, full := f.ready("receiver_store_full")
		if status != http.StatusServiceUnavailable || full != "1" {
			t.Fatalf("a callback was answered 503; /readyz = %d %s, receiver_store_full = %s", status, says, full)
		}
	}
	give()
	f.until("after", true)
	f.row("the disk full, then no inode free while its store is started again")
}

// There is no file descriptor while JOBS needs one for its next file.
func TestReliabilityStoreWithoutDescriptors(t *testing.T) {
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("needs prlimit (Debian: util-linux)")
	}
	f := startFault(t, "")
	f.until("before", true) // and keeps the connection
	descriptors := func(soft string) {
		if out, err := exec.CommandContext(t.Context(), prlimit, "--pid", fmt.Sprint(f.serve.cmd.Process.Pid), "--nofile="+soft+":").CombinedOutput(); err != nil {
			t.Fatalf("prlimit: %v: %s", err, out)
		}
	}
	descriptors("8")
	for n := range 12 { // of 1 MiB: more than a file of JOBS has room for
		body := fmt.Appendf(nil, `{"id":"large-%d","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0,"more":"%s"}`, n, strings.Repeat("x", 1<<20))
		if f.post(body) {
			f.acknowledged[fmt.Sprint("large-", n)] = true
		}
	}
	if f.refused == 0 {
		t.Error("the store needed no descriptor, so nothing was tried")
	}
	descriptors("4096")
	f.until("after", true)
	f.row("no file descriptor while JOBS needs one; since there are some again")
}

// post calls back with a body, and reports whether that was answered 200.
func (f *storeFault) post(body []byte) bool {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.caller.url, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Elements-Webhook-Signature", sign(signatureKey, body))
	answer, err := f.caller.client.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body) // so that the connection is kept
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		f.refused++
	}
	return answer.StatusCode == http.StatusOK
}

// The folder of the store goes from under a running receiver.
func TestReliabilityStoreFolderGone(t *testing.T) {
	for what, do := range map[string]func(folder string) error{
		"removed": func(folder string) error {
			err := os.RemoveAll(folder)
			for n := 0; err != nil && n < 10; n++ { // it may meet a consumer that is just being made
				err = os.RemoveAll(folder)
			}
			return err
		},
		"moved": func(folder string) error { return os.Rename(folder, folder+".moved") },
	} {
		t.Run(what, func(t *testing.T) {
			f := startFault(t, "")
			f.until("before", true)
			if err := do(f.folder); err != nil {
				t.Fatal(err)
			}
			f.until("gone", false)
			if f.recovered > 2*time.Second && !testing.Short() { // which is for machines that have other work, too
				t.Errorf("noticed after %v, want a second", f.recovered)
			}
			status, says, lost := f.ready(`receiver_store_state{state="lost"}`)
			if status != http.StatusServiceUnavailable || lost != "1" || !strings.Contains(says, f.folder) {
				t.Errorf("/readyz = %d %s, lost = %s; want the folder named", status, says, lost)
			}
			if f.call("later") {
				t.Error("a callback was acknowledged with the folder gone")
			}
			if code, err := f.serve.end(syscall.SIGTERM); err != nil || code != 0 {
				t.Errorf("serve = exit %d, %v", code, err)
			}
			if what == "removed" {
				t.Logf("\n| the folder of the store %s under a running receiver; time to the first 503 | `%s` | %d | 0 | 0 | %d | %.1f s |",
					what, t.Name(), len(f.acknowledged), f.refused, f.recovered.Seconds())
				return
			}
			if err := os.Rename(f.folder+".moved", f.folder); err != nil {
				t.Fatal(err)
			}
			f.serve = start(t, f.dir, "serve")
			f.row("the folder of the store moved under a running receiver, and put back; time to the first 503")
		})
	}
}

// An operator removes what the receiver needs.
func TestReliabilityStoreStreams(t *testing.T) {
	f := startFault(t, "")
	js := f.owner()
	f.until("before", true)
	for _, stream := range []string{"WATCH", "ATTEMPTS", "SUBMISSIONS", "REPLAYS", "ACTIONS"} {
		if err := js.DeleteStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
		f.until("without-"+stream, true)
		wait(t, stream+" to be made again", func() bool { _, err := js.Stream(t.Context(), stream); return err == nil })
		if !f.call("before-0") { // a repeat is recorded
			wait(t, "a repeat to be answered 200", func() bool { return f.call("before-0") })
		}
	}
	s, err := js.Stream(t.Context(), "JOBS")
	if err == nil {
		err = s.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	all := f.acknowledged
	f.acknowledged = map[string]bool{}
	<-time.After(time.Second) // the docs give it that long
	for id := range all {
		f.call(id)
	}
	f.row("WATCH, ATTEMPTS, SUBMISSIONS, REPLAYS and ACTIONS removed, one after the other; JOBS purged, then every callback again")
}

// The lock file is removed, and a second receiver started on the folder.
func TestReliabilityStoreLockRemoved(t *testing.T) {
	f := startFault(t, "")
	f.until("before", true)
	if err := os.Remove(filepath.Join(f.folder, "receiver.lock")); err != nil {
		t.Fatal(err)
	}
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	second := t.TempDir()
	if err := writeConfig(second, p, fmt.Sprintf("nats:\n  embedded:\n    address: 127.0.0.1:%s\n    folder: %s\n", p.nats, f.folder)); err != nil {
		t.Fatal(err)
	}
	other := start(t, second, "serve")
	if code, err := other.end(0); err != nil || code == 0 {
		t.Errorf("the second receiver = exit %d, %v; want that it does not start", code, err)
	}
	for n := range 200 {
		f.call(fmt.Sprint("after-", n))
	}
	f.row("receiver.lock removed, and a second receiver started on the folder")
}

func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); {
		if time.Since(began) > waitTimeout {
			t.Fatalf("waited for %s in vain", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
