package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A key is added while NATS is unreachable. The change cannot be recorded, so the key is not in
// force. Once NATS is back it is, without another change of a file.
func TestReloadIsDoneWhenNATSIsBack(t *testing.T) {
	t.Parallel()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	nats := []string{"-js", "-sd", t.TempDir(), "-a", p.host, "-p", p.nats}
	server := startWith(t, ".", "nats-server", nats...)
	ready := regexp.MustCompile("Server is ready")
	if _, err := server.wait(server.log, ready); err != nil {
		t.Fatal(err)
	}
	r := &replica{dir: t.TempDir()}
	if err := writeConfig(r.dir, p, "limits:\n  publish_timeout: 500ms\nnats:\n  mode: external\n  urls: [nats://"+p.host+":"+p.nats+"]\n"); err != nil {
		t.Fatal(err)
	}
	r.up(t)
	if _, err := server.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	mark := r.logged()
	r.write(t, "signature.key", secondKey)
	r.awaitLog(t, mark, `"level":"error".*"message":"applying the configuration failed; the previous keys and sources stay in force"`)
	startWith(t, ".", "nats-server", nats...)
	r.awaitLog(t, mark, `"message":"keys and sources reloaded"`)
	if code, err := r.end(syscall.SIGTERM); err != nil || code != 0 {
		t.Errorf("serve = exit %d, %v, want 0", code, err)
	}
}

// A SIGHUP does no harm while callbacks in flight are finished.
func TestHangupWhileStopping(t *testing.T) {
	t.Parallel()
	serve := start(t, configured(t), "serve")
	public, _ := serve.listening(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(waitTimeout)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	body := []byte(`{"id":"1","status":"COMPLETED"}`)
	fmt.Fprintf(conn, "POST /callbacks/demo HTTP/1.1\r\nHost: receiver\r\nExpect: 100-continue\r\nContent-Length: %d\r\nElements-Webhook-Signature: %s\r\n\r\n",
		len(body), sign(signatureKey, body))
	readAnswer(t, answers, http.StatusContinue) // it is in flight
	if err := serve.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := serve.wait(serve.log, regexp.MustCompile(`"message":"stopping"`)); err != nil {
		t.Fatal(err)
	}
	if err := serve.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	readAnswer(t, answers, http.StatusOK)
	if code, err := serve.end(0); err != nil || code != 0 {
		t.Errorf("serve = exit %d, %v, want 0", code, err)
	}
}

// readAnswer reads an answer that must have that status.
func readAnswer(t *testing.T, from *bufio.Reader, status int) {
	t.Helper()
	answer, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != status {
		t.Fatalf("the answer is %s, %v, want %d", answer.Status, err, status)
	}
}
