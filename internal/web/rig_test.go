package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/metrics"
	"receiver/internal/verify"
	"receiver/internal/web"
)

const (
	demoKey  = "MySecretEventSignatureKey"
	demoBody = `{"id":"42114492","status":"COMPLETED"}`
)

// rig is a receiver behind a listener of its own, over a store in memory.
type rig struct {
	*shelf
	t       *testing.T
	url     string
	addr    string
	metrics *metrics.Metrics
	log     *logs
}

type options struct {
	public web.Public
	limits web.Limits
	store  callback.Store
}

// open opens the public listener with a source demo.
func open(t *testing.T, change ...func(*options)) *rig {
	t.Helper()
	d := &rig{shelf: &shelf{}, t: t, log: &logs{}, metrics: metrics.New(nil)}
	o := options{
		public: web.Public{BodyLimit: 1 << 10, Timeout: 5 * time.Second, Metrics: d.metrics, Log: zerolog.New(d.log)},
		limits: web.Limits{Header: 16 << 10, ReadHeader: time.Minute, Read: time.Minute, Write: time.Minute, Idle: time.Minute},
		store:  d.shelf,
	}
	for _, c := range change {
		c(&o)
	}
	key, err := verify.NewKey("2026", []byte(demoKey), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(key)
	if err != nil {
		t.Fatal(err)
	}
	if o.public.Receiver, err = callback.New(callback.Options{
		Store: o.store, AttemptBody: 1 << 10, Sources: []callback.Source{{Name: "demo", Verifier: v}},
	}); err != nil {
		t.Fatal(err)
	}
	d.metrics.SetSources([]keyusage.Key{{Source: "demo", Name: "2026", Fingerprint: key.Fingerprint()}})
	d.addr = serve(t, web.NewPublic(o.public), o.limits)
	d.url = "http://" + d.addr
	return d
}

// serve serves a handler on a free port until the test ends.
func serve(t *testing.T, h http.Handler, l web.Limits) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := web.NewServer(h, l, nil)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v", err)
		}
	})
	return ln.Addr().String()
}

// post sends a callback to demo, rightly signed unless headers say otherwise; a header
// without a value is not sent.
func (d *rig) post(body string, headers ...string) *reply {
	d.t.Helper()
	return d.do(http.MethodPost, "/callbacks/demo", body, headers...)
}

func (d *rig) do(method, path, body string, headers ...string) *reply {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.URL.Opaque = path // as it stands
	r.Header.Set(verify.Header, signature(demoKey, body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return read(d.t, res)
}

// reply is an answer, read whole.
type reply struct {
	code   int
	header http.Header
	body   string
}

func read(t *testing.T, res *http.Response) *reply {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &reply{res.StatusCode, res.Header, string(body)}
}

// line is a connection that a test writes to as it likes.
type line struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// lineTime is how long a line may take over what it sends and reads.
const lineTime = 10 * time.Second

func (d *rig) dial() *line {
	d.t.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(lineTime)); err != nil {
		d.t.Fatal(err)
	}
	return &line{c, d.t, bufio.NewReader(c)}
}

func (l *line) send(format string, args ...any) {
	l.t.Helper()
	if _, err := fmt.Fprintf(l.Conn, strings.ReplaceAll(format, "\n", "\r\n"), args...); err != nil {
		l.t.Fatal(err)
	}
}

// answered reports whether an answer has come by now.
func (l *line) answered() bool {
	l.t.Helper()
	if err := l.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		l.t.Fatal(err)
	}
	_, err := l.r.Peek(1)
	if err := l.SetReadDeadline(time.Now().Add(lineTime)); err != nil {
		l.t.Fatal(err)
	}
	return err == nil
}

// answer reads the next answer.
func (l *line) answer() *reply {
	l.t.Helper()
	res, err := http.ReadResponse(l.r, nil)
	if err != nil {
		l.t.Fatalf("reading the answer: %v", err)
	}
	return read(l.t, res)
}

// closed waits until the server has closed the connection, or returns an error.
func (l *line) closed() error {
	_, err := io.Copy(io.Discard, l.r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil // closed in one way or another
}

// shelf is a store in memory.
type shelf struct {
	mu                sync.Mutex
	events            []job.Stored
	recorded, offered []job.Attempt
	fail              error
}

func (s *shelf) Publish(_ context.Context, e job.Event) (job.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return job.Stored{}, s.fail
	}
	for _, there := range s.events {
		if there.Subject() == e.Subject() && there.ID() == e.ID() {
			there.Existed = true
			return there, nil
		}
	}
	stored := job.Stored{Event: e, Sequence: uint64(len(s.events) + 1)}
	s.events = append(s.events, stored)
	return stored, nil
}

func (s *shelf) Record(_ context.Context, a job.Attempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = append(s.recorded, a)
	return s.fail
}

func (s *shelf) Offer(make func() job.Attempt) bool {
	a := make()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered = append(s.offered, a)
	return true
}

// lastEvent returns the event that was stored last.
func (s *shelf) lastEvent(t *testing.T) job.Stored {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) == 0 {
		t.Fatal("no event is stored")
	}
	return s.events[len(s.events)-1]
}

// lastOffer returns the refusal that was recorded last.
func (s *shelf) lastOffer(t *testing.T) job.Attempt {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.offered) == 0 {
		t.Fatal("no refusal is recorded")
	}
	return s.offered[len(s.offered)-1]
}

func (s *shelf) counts() (events, offered int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events), len(s.offered)
}

// logs collects log lines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the fields of every line, which must be JSON objects.
func (l *logs) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	for text := range strings.Lines(l.text()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatalf("log line %q: %v", text, err)
		}
		all = append(all, fields)
	}
	return all
}

func prefix(t *testing.T, text string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
