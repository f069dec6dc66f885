package conformance

import (
	"net"
	"strings"
	"testing"
	"time"
	"unicode"
)

// FuzzAnswers shows that no answer makes the reading panic, go on without an end, or print what
// moves a terminal.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 401 x\r\n\r\n\x1b[2J\u202e", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx", "\x00\x00\x04", strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 20),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write([]byte(text))
			_ = theirs.Close()
		}()
		defer ours.Close()
		_ = ours.SetDeadline(time.Now().Add(answerTime))
		s := read(ours, "POST")
		for _, c := range s.String() {
			if !unicode.IsPrint(c) {
				t.Errorf("%q holds %U", s, c)
			}
		}
		if len(s.answers) > 0 {
			differs(s.answers[0], s.answers[len(s.answers)-1])
			(&marker{}).learn(s.answers[0], s.answers[len(s.answers)-1])
		}
	})
}
