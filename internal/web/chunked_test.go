package web_test

import (
	"strings"
	"testing"
)

// A request in chunks is the last one of its connection: with a length beside the chunks, a
// proxy in front may have seen another end of it, and what follows may be part of its body.
func TestNothingIsReadBehindChunks(t *testing.T) {
	t.Parallel()
	d := open(t)
	hidden := "POST /callbacks/demo HTTP/1.1\nHost: x\nElements-Webhook-Signature: " + signature(demoKey, demoBody) +
		"\nContent-Length: 38\n\n" + demoBody
	for _, lines := range []string{
		"Content-Length: 5\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\nContent-Length: 5",
		"Transfer-Encoding:\n chunked\nContent-Length: 5",
		"Transfer-Encoding: chunked",
		"transfer-encoding: Chunked\nConnection: keep-alive",
	} {
		for _, first := range []string{"POST /callbacks/demo", "GET /healthz", "POST /nowhere", "PUT /callbacks/demo"} {
			l := d.dial()
			l.send("%s", strings.ReplaceAll(first+" HTTP/1.1\nHost: x\n"+lines+"\n\n0\n\n"+hidden, "\n", "\r\n"))
			l.answer()
			if rest, err := l.r.Peek(1); err == nil {
				t.Errorf("%s with %q: %q follows the answer, want nothing", first, lines, rest)
			}
		}
	}
	d.shelf.mu.Lock()
	defer d.shelf.mu.Unlock()
	if got := len(d.shelf.events); got != 0 {
		t.Errorf("%d events are stored, want none", got)
	}
}
