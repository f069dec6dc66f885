package publish_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// A page in a browser on this machine can send any request, with any body, to the port. The server
// closes the connection before it reads a command.
func TestBrowserRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	b := natstest.Open(t, s)
	const words = "CONNECT {\"verbose\":true}\r\nSUB jobs.> 1\r\nPUB jobs.demo.9.finished 2\r\n{}\r\nPING\r\n"
	address := strings.TrimPrefix(s.URL(), "nats://")
	for name, request := range map[string]string{
		"a form":              "POST / HTTP/1.1\r\nHost: " + address + "\r\nOrigin: https://evil.example\r\nContent-Type: text/plain\r\nContent-Length: 90\r\n\r\n" + words,
		"a link":              "GET /" + strings.ReplaceAll(words, "\r\n", "%0d%0a") + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n" + words,
		"a question first":    "OPTIONS / HTTP/1.1\r\nHost: " + address + "\r\n\r\n" + words,
		"a WebSocket":         "GET / HTTP/1.1\r\nHost: " + address + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" + words,
		"the verb is PUT":     "PUT / HTTP/1.1\r\nHost: " + address + "\r\n\r\n" + words,
		"HTTP/2 at once":      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + words,
		"a handshake, in TLS": "\x16\x03\x01\x00\x05hello" + words,
	} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		must(t, err)
		must(t, c.SetDeadline(time.Now().Add(time.Minute)))
		_, err = io.WriteString(c, request)
		must(t, err)
		got, err := io.ReadAll(c)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open after %q", name, got)
		}
		if bytes.Contains(got, []byte("+OK")) || bytes.Contains(got, []byte("PONG")) || bytes.Contains(got, []byte("MSG ")) {
			t.Errorf("%s: answered %q, want no command heard", name, got)
		}
		must(t, c.Close())
	}
	if n := natstest.Count(t, b, conn.JobsStream); n != 0 {
		t.Errorf("JOBS holds %d events, which a page made", n)
	}
}
