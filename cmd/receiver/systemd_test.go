//go:build unix

package main_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A socket that systemd opened is served: connections made before the receiver is up wait.
func TestASocketOfSystemdIsServed(t *testing.T) {
	t.Parallel()
	dir := configured(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "LISTEN_PID=$$ exec receiver serve")
	cmd.Dir, cmd.ExtraFiles, cmd.Stderr = dir, []*os.File{file}, newOutput()
	cmd.Env = append(environment(), "LISTEN_FDS=1", "LISTEN_FDNAMES=web", "RECEIVER_PUBLIC_ADDRESS=systemd:web")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: waitTimeout}).Do(request)
	if err != nil {
		t.Fatalf("%v\n%s", err, cmd.Stderr)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the answer is %s", answer.Status)
	}
}

// systemd learns when the receiver is ready, that it is alive, and that it stops.
func TestSystemdLearnsTheState(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	next := func() string {
		t.Helper()
		b := make([]byte, 8<<10)
		if err := ln.SetReadDeadline(time.Now().Add(waitTimeout)); err != nil {
			t.Fatal(err)
		}
		n, err := ln.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	p, err := startProcess(configured(t), append(environment(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=30000000"), "receiver", "serve")
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	for _, want := range []string{"READY=1", "WATCHDOG=1\nSTATUS=ready"} {
		if got := next(); got != want {
			t.Errorf("the message is %q, want %q\n%s", got, want, p.log)
		}
	}
	if code, err := p.end(syscall.SIGTERM); code != 0 || err != nil {
		t.Errorf("serve = exit %d, %v", code, err)
	}
	if got := next(); got != "STOPPING=1\nSTATUS=stopping" {
		t.Errorf("the last message is %q", got)
	}
}
