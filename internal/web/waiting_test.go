package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/metrics"
	"receiver/internal/web"
)

func TestAReceiverThatWaitsHasEveryCallbackRepeated(t *testing.T) {
	t.Parallel()
	m := metrics.New(nil)
	gate := web.NewGate(web.NewWaiting("/hooks", m, zerolog.Nop()))
	s := httptest.NewServer(gate)
	defer s.Close()
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{http.MethodPost, "/callbacks/demo", http.StatusServiceUnavailable},
		{http.MethodPost, "/callbacks/demo/token", http.StatusServiceUnavailable},
		{http.MethodPost, "/callbacks/demo/", http.StatusServiceUnavailable},
		{http.MethodPost, "//callbacks/demo", http.StatusServiceUnavailable},
		{http.MethodPost, "/prefix/callbacks/none", http.StatusServiceUnavailable},
		{http.MethodPost, "/", http.StatusServiceUnavailable},
		{http.MethodPost, "/hooks/callbacks/demo", http.StatusServiceUnavailable},
		{http.MethodPost, "/healthz", http.StatusServiceUnavailable},
		{http.MethodGet, "/healthz", http.StatusOK},
		{http.MethodGet, "/hooks/healthz/", http.StatusOK},
		{http.MethodGet, "/callbacks/demo", http.StatusNotFound},
		{http.MethodOptions, "/callbacks/demo", http.StatusNotFound},
		{http.MethodGet, "/metrics", http.StatusNotFound},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL+tt.path, strings.NewReader(strings.Repeat("x", 1<<10)))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.path, err)
			continue
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != tt.status || (tt.status == http.StatusServiceUnavailable) != (answer.Header.Get("Retry-After") != "") {
			t.Errorf("%s %s = %d, Retry-After %q, want %d", tt.method, tt.path, answer.StatusCode, answer.Header.Get("Retry-After"), tt.status)
		}
	}
	gate.Set(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	answer, err := s.Client().Post(s.URL+"/callbacks/demo", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusTeapot {
		t.Errorf("after Set, POST = %d, want what the new handler answers", answer.StatusCode)
	}
}
