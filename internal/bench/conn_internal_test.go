package bench

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

// For any answer of a receiver, nothing breaks, and the result is that of net/http.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\ncontent-length: 27\r\n\r\n{\"message\":\"unauthorized\"}\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		"HTTP/1.0 503 x\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
		"HTTP/1.1 2", "SSH-2.0-OpenSSH\r\n", "\r\n", "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := conn{in: bufio.NewReader(bytes.NewReader(text))}
		status, body, err := c.answer()
		if err != nil {
			return
		}
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), &http.Request{Method: http.MethodPost})
		if err != nil {
			return // net/http is the stricter one
		}
		defer r.Body.Close()
		if r.StatusCode != status {
			t.Errorf("status %d, net/http says %d, of %q", status, r.StatusCode, text)
		}
		if r.ContentLength < 0 || r.Uncompressed || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
			return // not what a receiver answers a callback
		}
		if want, err := io.ReadAll(r.Body); err == nil && !bytes.Equal(body, want) {
			t.Errorf("body %q, net/http says %q, of %q", body, want, text)
		}
	})
}
