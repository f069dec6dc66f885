package web_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"receiver/internal/verify"
)

func TestBodiesUpToTheLimit(t *testing.T) {
	t.Parallel()
	d := open(t) // its limit is 1 KiB
	exact, over := strings.Repeat("x", 1024), strings.Repeat("x", 1025)
	for _, tt := range []struct {
		name string
		send func(*line)
		code int
	}{
		{"as large as the limit", func(l *line) { l.head("Content-Length: 1024", exact); l.send("%s", exact) }, 200},
		{"as large as the limit, in chunks", func(l *line) {
			l.head("Transfer-Encoding: chunked", exact)
			l.send("200\n%s\n200\n%s\n0\n\n", exact[:512], exact[512:])
		}, 200},
		{"one byte over, announced and never sent", func(l *line) { l.head("Content-Length: 1025", over) }, 413},
		{"far over, announced and never sent", func(l *line) { l.head("Content-Length: 9223372036854775807", over) }, 413},
		{"one byte over, asked before it is sent", func(l *line) { l.head("Content-Length: 1025\nExpect: 100-continue", over) }, 413},
		{"one byte over, in chunks that go on", func(l *line) {
			l.head("Transfer-Encoding: chunked", over)
			l.send("401\n%s\n", over)
		}, 413},
		{"one byte over, in two chunks", func(l *line) {
			l.head("Transfer-Encoding: chunked", over)
			l.send("400\n%s\n1\nx\n0\n\n", exact)
		}, 413},
		{"no chunks", func(l *line) {
			l.head("Transfer-Encoding: chunked", "")
			l.send("not hexadecimal\n")
		}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := d.dial()
			tt.send(l)
			got := l.answer()
			if got.code != tt.code {
				t.Fatalf("answer = %d %s, want %d", got.code, got.body, tt.code)
			}
			if tt.code == http.StatusOK {
				return
			}
			if err := l.closed(); err != nil {
				t.Errorf("the connection is still open: %v", err)
			}
		})
	}
}

// head sends the head of a callback whose body is signed rightly.
func (l *line) head(headers, body string) {
	l.t.Helper()
	l.send("POST /callbacks/demo HTTP/1.1\nHost: x\n"+headers+"\n%s: %s\n\n", verify.Header, signature(demoKey, body))
}

func TestALargeBodyIsReadWhole(t *testing.T) {
	t.Parallel()
	d := open(t, func(o *options) { o.public.BodyLimit = 8 << 20 })
	body := strings.Repeat("0123456789abcdef", 1<<19)
	if got := d.post(body); got.code != http.StatusOK {
		t.Fatalf("POST of %d bytes = %d %s", len(body), got.code, got.body)
	}
	if got := string(d.lastEvent(t).Data); got != body {
		t.Errorf("stored %d bytes, want the %d that were sent", len(got), len(body))
	}
}

// A sender that announces a large body and does not send it gets no memory for it.
func TestAnnouncedBodyTakesNoMemory(t *testing.T) {
	d := open(t, func(o *options) { o.public.BodyLimit = 8 << 20 })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const lines = 20
	for range lines {
		l := d.dial()
		l.head("Content-Length: 8388608\nExpect: 100-continue", "")
		if text, err := l.r.ReadString('\n'); err != nil || !strings.Contains(text, "100 Continue") {
			t.Fatalf("read %q, %v, want that the body is awaited", text, err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > lines<<20 {
		t.Errorf("%d announcements took %d MiB, want less than one each", lines, grown>>20)
	}
}

// All unauthenticated bodies together share one limit of memory.
func TestLargeBodiesShareABound(t *testing.T) {
	t.Parallel()
	const large = 256 << 10
	d := open(t, func(o *options) { o.public.BodyLimit, o.public.BodiesLimit = large, large+large/2 })
	body := strings.Repeat("x", large)
	hold := func() *line {
		l := d.dial()
		l.head("Transfer-Encoding: chunked", body)
		l.send("%x\n%s\n", large-1, body[:large-1])
		return l
	}
	held := hold()
	second := func() int {
		l := d.dial()
		l.head("Transfer-Encoding: chunked", body)
		// The rest of the body may reach a connection that is closed already.
		_, _ = fmt.Fprintf(l, "%x\r\n%s\r\n0\r\n\r\n", large, body)
		answer, err := http.ReadResponse(l.r, nil)
		if err != nil {
			return http.StatusServiceUnavailable
		}
		return read(t, answer).code
	}
	for code := 0; code != http.StatusServiceUnavailable; { // as soon as the first has been read
		if code = second(); code != http.StatusServiceUnavailable && code != http.StatusOK {
			t.Fatalf("a second large body = %d, want 503", code)
		}
		if held.answered() {
			held, code = hold(), 0 // the second one was faster, and the first had no room
		}
	}
	small := d.dial()
	small.head("Transfer-Encoding: chunked", demoBody)
	small.send("%x\n%s\n0\n\n", len(demoBody), demoBody)
	if got := small.answer(); got.code != http.StatusOK {
		t.Errorf("a small body = %d, want 200", got.code)
	}
	if got := d.post(strings.Repeat("y", 60<<10)); got.code != http.StatusOK {
		t.Errorf("a usual body = %d, want 200 from the reserve", got.code)
	}
	held.send("1\nx\n0\n\n")
	if got := held.answer(); got.code != http.StatusOK {
		t.Errorf("the first large body = %d, want 200", got.code)
	}
	if got := second(); got != http.StatusOK {
		t.Errorf("after that one = %d, want 200", got)
	}
}

// Each of these keeps a connection, and sends too little on it.
func TestListenerTimeouts(t *testing.T) {
	t.Parallel()
	short := 100 * time.Millisecond
	for _, tt := range []struct {
		name  string
		limit func(*options)
		send  func(*line)
	}{
		{"nothing", func(o *options) { o.limits.ReadHeader = short }, func(*line) {}},
		{"half a header", func(o *options) { o.limits.ReadHeader = short }, func(l *line) {
			l.send("POST /callbacks/demo HTTP/1.1\nHost: x\nX-Half: ")
		}},
		{"half a body", func(o *options) { o.limits.Read = short }, func(l *line) {
			l.head("Content-Length: 100", "")
			l.send("half")
			if got := l.answer(); got.code != http.StatusBadRequest {
				t.Errorf("half a body = %d, want 400", got.code)
			}
		}},
		{"a body in endless chunks", func(o *options) { o.limits.Read = short }, func(l *line) {
			l.head("Transfer-Encoding: chunked", "")
			l.send("1\nx\n")
		}},
		{"a body in chunks, cut off", func(o *options) { o.limits.Read = short }, func(l *line) {
			l.head("Transfer-Encoding: chunked", "x")
			l.send("1\nx\n")
			if got := l.answer(); got.code != http.StatusBadRequest {
				t.Errorf("a body that was cut off = %d, want 400", got.code)
			}
		}},
		{"no second request", func(o *options) { o.limits.Idle = short }, func(l *line) {
			l.send("GET /healthz HTTP/1.1\nHost: x\n\n")
			if got := l.answer(); got.code != http.StatusOK {
				t.Errorf("GET /healthz = %d, want 200", got.code)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, tt.limit)
			began := time.Now()
			l := d.dial()
			tt.send(l)
			if err := l.closed(); err != nil {
				t.Fatalf("the connection is still open: %v", err)
			}
			if took := time.Since(began); took < short {
				t.Errorf("closed after %v, want after %v", took, short)
			}
			if events, _ := d.counts(); events > 0 {
				t.Error("what did not arrive whole was stored")
			}
		})
	}
}

// The time to answer begins when the body has come.
func TestASlowBodyIsAnswered(t *testing.T) {
	t.Parallel()
	short := 100 * time.Millisecond
	d := open(t, func(o *options) { o.limits.Write = short })
	l := d.dial()
	l.head(fmt.Sprintf("Content-Length: %d", len(demoBody)), demoBody)
	<-time.After(2 * short) // the platform takes its time
	l.send("%s", demoBody)
	if got := l.answer(); got.code != http.StatusOK {
		t.Errorf("answer = %d %s, want 200", got.code, got.body)
	}
}

func TestALongHeaderIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t, func(o *options) { o.limits.Header = 1 << 10 })
	l := d.dial()
	l.send("POST /callbacks/demo HTTP/1.1\nHost: x\nX-Long: %s\nContent-Length: 0\n\n", strings.Repeat("x", 10<<10))
	if got := l.answer(); got.code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answer = %d, want 431", got.code)
	}
}

// A refusal is no reason to make the next caller behind the same proxy wait for a new
// connection.
func TestAConnectionOutlivesARefusal(t *testing.T) {
	t.Parallel()
	d := open(t)
	l := d.dial()
	for _, want := range []int{401, 200, 401, 200} {
		sent := signature(demoKey, demoBody)
		if want == 401 {
			sent = signature("another key", demoBody)
		}
		l.send("POST /callbacks/demo HTTP/1.1\nHost: x\n%s: %s\nContent-Length: %d\n\n%s", verify.Header, sent, len(demoBody), demoBody)
		if got := l.answer(); got.code != want {
			t.Fatalf("answer = %d, want %d", got.code, want)
		}
	}
}
