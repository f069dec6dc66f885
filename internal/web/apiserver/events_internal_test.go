package apiserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/natstest"
)

// feedOf is a feed that begins where it is asked to, and goes on with what each gives.
type feedOf func(ctx context.Context, yield func(api.Followed) bool)

func (f feedOf) Follow(ctx context.Context, q api.Follow) (iter.Seq[api.Followed], error) {
	return func(yield func(api.Followed) bool) {
		if yield(api.Followed{Sequence: q.After}) {
			f(ctx, yield)
		}
	}, nil
}

// script is a feed of what is sent to a channel.
func script(steps <-chan api.Followed) feedOf {
	return func(ctx context.Context, yield func(api.Followed) bool) {
		for {
			select {
			case step, more := <-steps:
				if !more || !yield(step) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func finished(seq uint64, data string) api.Followed {
	return api.Followed{Sequence: seq, Name: "finished", Data: []byte(data)}
}

// timeouts of the listener, which a stream of events outlives.
const timeouts = 20 * time.Millisecond

// listen serves the operations by a listener with short timeouts.
func listen(t *testing.T, s Server) *httptest.Server {
	t.Helper()
	e := echo.New()
	s.Register(e, nil)
	h := httptest.NewUnstartedServer(e)
	h.Config.ReadHeaderTimeout, h.Config.ReadTimeout, h.Config.WriteTimeout = timeouts, timeouts, timeouts
	h.Start()
	t.Cleanup(h.Close)
	return h
}

// connect begins to follow the events.
func connect(t *testing.T, at, query string) *bufio.Scanner {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("GET /v1/events = %d %s", answer.StatusCode, got)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return lines
}

// block reads up to the next empty line.
func block(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	var all []string
	for lines.Scan() && lines.Text() != "" {
		all = append(all, lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("after %q: %v", all, err)
	}
	return strings.Join(all, "\n")
}

// A stream has the form that the WHATWG defines.
func TestWhatAStreamOfEventsSends(t *testing.T) {
	t.Parallel()
	steps := make(chan api.Followed)
	readers := NewReaders(1)
	readers.pulse = 2 * timeouts
	lines := connect(t, listen(t, Server{Feed: script(steps), Readers: readers}).URL, "?since=6")
	for _, want := range []string{"retry: 1000", "id: 6"} {
		if got := block(t, lines); got != want {
			t.Errorf("it begins with %q, want %q", got, want)
		}
	}
	if got := block(t, lines); got != ": heartbeat" {
		t.Errorf("without an event: %q, want a heartbeat", got)
	}
	steps <- api.Followed{Sequence: 9, Name: api.GapName, Data: []byte(`{"from":7,"to":9}`)}
	steps <- finished(10, `{"sequence":10}`)
	steps <- api.Followed{Sequence: 11} // which a filter leaves out
	var got []string
	for len(got) < 3 {
		if b := block(t, lines); b != ": heartbeat" {
			got = append(got, b)
		}
	}
	for i, want := range []string{
		"id: 9\nevent: gap\ndata: {\"from\":7,\"to\":9}", "id: 10\nevent: finished\ndata: {\"sequence\":10}", ": heartbeat\nid: 11",
	} {
		if got[i] != want {
			t.Errorf("sent %q, want %q", got[i], want)
		}
	}
	if b := block(t, lines); b != ": heartbeat" {
		t.Errorf("sent %q, want that a position is told once", b)
	}
	close(steps)
	for b := ": heartbeat"; b != ""; b = block(t, lines) {
		if b != ": heartbeat" {
			t.Errorf("sent %q after the end of the feed", b)
		}
	}
}

// A reader that takes nothing is cut, holds next to nothing until then, and delays no other.
func TestASlowReaderIsCut(t *testing.T) {
	t.Parallel()
	var made atomic.Uint64
	big := strings.Repeat("x", part)
	readers := NewReaders(2)
	readers.write = 300 * time.Millisecond
	steps := make(chan api.Followed)
	h := listen(t, Server{Readers: readers, Feed: feedOf(func(ctx context.Context, yield func(api.Followed) bool) {
		if readers.Open() > 1 { // the second one
			script(steps)(ctx, yield)
			return
		}
		for seq := uint64(1); yield(finished(seq, big)); seq++ {
			made.Store(seq)
		}
	})})
	slow, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if err := slow.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(slow, "GET /v1/events?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "events for the slow reader", func() bool { return made.Load() > 0 })
	lines := connect(t, h.URL, "?since=0")
	block(t, lines)
	block(t, lines)
	for seq := uint64(1); readers.Cut() == 0 || seq < 3; seq++ {
		steps <- finished(seq, "")
		if got, want := block(t, lines), fmt.Sprintf("id: %d\n", seq); !strings.HasPrefix(got, want) {
			t.Fatalf("the other reader got %q, want %q", got, want)
		}
	}
	if n := made.Load(); n > 256 { // what the sockets hold, and one more
		t.Errorf("%d events of 64 KiB were made for a reader that takes none", n)
	}
	natstest.Eventually(t, "the place of the slow reader to be free", func() bool { return readers.Open() == 1 })
	if readers.Cut() != 1 || readers.Refused() != 0 {
		t.Errorf("%d cut and %d refused, want 1 and 0", readers.Cut(), readers.Refused())
	}
}

// A listener that stops waits for no stream.
func TestAStreamEndsWithTheListener(t *testing.T) {
	t.Parallel()
	stopping, stop := context.WithCancel(t.Context())
	h := listen(t, Server{Feed: script(nil), Readers: NewReaders(1), Stopping: stopping})
	h.Config.RegisterOnShutdown(stop)
	lines := connect(t, h.URL, "")
	block(t, lines)
	if err := h.Config.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v, want it to end the stream", err)
	}
	for lines.Scan() {
	}
	if lines.Err() != nil {
		t.Errorf("the stream ended with %v, want a clean end", lines.Err())
	}
}

func TestWhereEventsAreAskedFor(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, since, last string
		want              api.Follow
		err               string
	}{
		{"nothing", "", "", api.Follow{}, ""},
		{"a sequence", "8314", "", api.Follow{After: 8314, Behind: true}, ""},
		{"no sequence yet", "0", "", api.Follow{Behind: true}, ""},
		{"a duration", "24h", "", api.Follow{Since: now.Add(-24 * time.Hour)}, ""},
		{"a time", "2026-11-01T00:00:00Z", "", api.Follow{Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}, ""},
		{"all", "all", "", api.Follow{Since: time.Unix(0, 0)}, ""},
		{"a connection that comes again", "24h", "12", api.Follow{After: 12, Behind: true}, ""},
		{"a word", "yesterday", "", api.Follow{}, "a sequence such as 8314"},
		{"a duration to come", "-1h", "", api.Follow{}, "a sequence such as 8314"},
		{"too large a number", "18446744073709551616", "", api.Follow{}, "a sequence such as 8314"},
		{"an id of another program", "", "evt_7", api.Follow{}, "Last-Event-ID"},
		{"an id that is not as it was sent", "", "007", api.Follow{}, "Last-Event-ID"},
		{"an id with a sign", "", "+7", api.Follow{}, "Last-Event-ID"},
	} {
		got, err := follow(api.FollowEventsParams{Since: tt.since, LastEventID: tt.last}, now)
		if tt.err == "" && (err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want)) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %+v, %v, want %+v, %q", tt.name, got, err, tt.want, tt.err)
		}
	}
	for _, p := range []api.FollowEventsParams{{Kind: []job.Kind{"finished", "finish"}}, {Result: []job.Result{"ok"}}} {
		_, err := follow(p, now)
		if err == nil || !strings.Contains(err.Error(), "succeeded") && !strings.Contains(err.Error(), "submitted, progress, finished") {
			t.Errorf("%+v: %v, want those that there are", p, err)
		}
	}
}

// From any bytes a stream begins at one place, or the client learns what to send.
func FuzzWhereEventsAreAskedFor(f *testing.F) {
	for _, s := range []string{"", "0", "7", "24h", "all", "2026-11-01T00:00:00Z", "-1", "1e3", "٣", "9999999h", "18446744073709551615"} {
		f.Add(s, "")
		f.Add("24h", s)
	}
	now := time.Now()
	f.Fuzz(func(t *testing.T, since, last string) {
		got, err := follow(api.FollowEventsParams{Since: since, LastEventID: last}, now)
		var p *api.Problem
		switch {
		case err != nil:
			if !errors.As(err, &p) || !api.BadRequest.Is(p) || p.Detail == "" {
				t.Errorf("since %q, Last-Event-ID %q: %v, want a problem that says what to do", since, last, err)
			}
		case last != "" && (!got.Behind || fmt.Sprint(got.After) != last):
			t.Errorf("Last-Event-ID %q begins at %+v", last, got)
		case got.Behind && !got.Since.IsZero(), !got.Behind && got.After != 0:
			t.Errorf("since %q, Last-Event-ID %q begins at two places: %+v", since, last, got)
		}
	})
}
