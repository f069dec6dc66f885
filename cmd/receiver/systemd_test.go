//go:build unix

package main_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
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
