//go:build e2e

package main_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// The messages of net/http about connections that it cannot accept must not block the loop that
// accepts them: the log is not read, and the file descriptors are used up once.
func TestListenerAnswersWhileTheLogIsNotRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	l := logTo(t, w, "ulimit -n 128; exec receiver serve")
	l.calls(t, "a", 600) // their lines are more than a pipe takes
	addr := strings.TrimPrefix(l.public, "http://")
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for range 300 {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			break // the kernel's queue is full too
		}
		open = append(open, c)
	}
	if len(open) < 128 {
		t.Fatalf("%d connections are open, want more than there are file descriptors", len(open))
	}
	// Another one waits its turn; until then the loop tries, and says so.
	late := time.NewTimer(3 * time.Second)
	<-late.C
	for _, c := range open {
		_ = c.Close()
	}
	l.until(t, "callbacks are answered again", func() bool {
		_, ok, err := newCaller(l.public).finished(t.Context(), "b")
		return ok && err == nil
	})
	l.ends(t)
}
