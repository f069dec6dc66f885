package submit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"receiver/internal/submit"
)

const (
	element  = "elementSecret+/AbC="
	user     = "userSecret+/XyZ="
	token    = "tokentokentokentoken42"
	callback = "https://receiver.example/callbacks/demo/" + token + "?x=1"
)

// naps is a Sleep that takes no time and remembers how long it should have taken.
type naps struct {
	mu    sync.Mutex
	taken []time.Duration
}

func (n *naps) sleep(ctx context.Context, d time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taken = append(n.taken, d)
	return ctx.Err()
}

func options(base string) submit.Options {
	return submit.Options{BaseURL: base + "/elements/api-v2", Hub: "marketing", Source: "demo", Element: element, User: user}
}

func newClient(t testing.TB, o submit.Options) *submit.Client {
	t.Helper()
	c, err := submit.New(o)
	if err != nil {
		t.Fatalf("New(%v) = %v", o, err)
	}
	return c
}

// serve answers with h and returns a client for it whose waits take no time.
func serve(t testing.TB, h http.HandlerFunc) (*submit.Client, *naps) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	slept := &naps{}
	o := options(srv.URL)
	o.Sleep = slept.sleep
	return newClient(t, o), slept
}

// answering is a handler that gives one answer and says what it was asked.
func answering(code int, body string, asked *http.Request) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if asked != nil {
			*asked = *r.Clone(context.Background())
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// hangUp closes the connection without an answer.
func hangUp(t testing.TB, w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Errorf("Hijack() = %v", err)
		return
	}
	_ = conn.Close()
}

// canned gives every request one answer, without a network.
type canned struct {
	code int
	body []byte
}

func (a canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.code, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// over has a client use a transport.
func over(t http.RoundTripper) func(http.RoundTripper) http.RoundTripper {
	return func(http.RoundTripper) http.RoundTripper { return t }
}

func cannedClient(t testing.TB, body []byte) *submit.Client {
	o := options("http://localhost")
	o.Around = over(canned{200, body})
	return newClient(t, o)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("json.Marshal(%v) = %v", v, err)
	}
	return string(b)
}

func mustHide(t testing.TB, what, text string) {
	t.Helper()
	for _, secret := range []string{element, user, token} {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows a secret: %s", what, text)
		}
	}
}
