package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/callback"
	"receiver/internal/metrics"
	"receiver/internal/verify"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

// wholePrivate is a private listener with every route that there is.
func wholePrivate(t *testing.T, set *access.Set) *echo.Echo {
	t.Helper()
	judge, err := callback.New(callback.Options{Store: &shelf{}})
	if err != nil {
		t.Fatal(err)
	}
	h, ok := web.NewPrivate(web.Private{
		Access: set, Ready: func(context.Context) error { return nil }, Metrics: metrics.New(nil),
		ExplainBody: 100, Record: unrecorded, Log: zerolog.Nop(), API: apiserver.Server{
			Status: feed{}.status, Sources: apiserver.SourcesOf(judge, callback.NewRetryState(), metrics.New(nil).Source, time.Now()), Trail: archive{}, Logs: archive{}, Jobs: ledger{}, Platform: ledger{}, Submissions: desk{}, Actions: desk{}, Forwarding: hub{},
			Feed: feed{}, Readers: apiserver.NewReaders(10), Streams: feed{}.streams, Keys: feed{}.keys, Doctor: feed{}.doctor, Traffic: feed{}.traffic,
			Explainer: func(context.Context, string, []string, []byte) (api.Explanation, bool) {
				return api.NewExplanation(verify.Verdict{}), true
			},
		},
	}).(*echo.Echo)
	if !ok {
		t.Fatal("the private listener is no Echo; its routes cannot be listed")
	}
	return h
}

// A page on another site can have a browser on this machine send any simple request here. None
// is answered, with a token or without, whatever its method and content type.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	const here = "localhost:8081"
	type headers map[string]string
	for _, tt := range []struct {
		name    string
		send    headers
		refused bool
	}{
		{"a program", headers{}, false},
		{"our own page", headers{"Sec-Fetch-Site": "same-origin", "Origin": "http://" + here}, false},
		{"typed in, or a bookmark", headers{"Sec-Fetch-Site": "none"}, false},
		{"another site", headers{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, true},
		{"another site that hides its name", headers{"Sec-Fetch-Site": "cross-site", "Origin": "null"}, true},
		{"another site, by GET, which has no Origin", headers{"Sec-Fetch-Site": "cross-site"}, true},
		{"another site, by a link", headers{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, true},
		{"another port of this machine", headers{"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"}, true},
		{"a word that no browser sends", headers{"Sec-Fetch-Site": "anything"}, true},
		{"an old browser on another site", headers{"Origin": "https://evil.example"}, true},
		{"an old browser on another port", headers{"Origin": "http://localhost:3000"}, true},
		{"an old browser that hides the site", headers{"Origin": "null"}, true},
		{"an old browser on our page", headers{"Origin": "http://" + here}, false},
	} {
		for _, token := range []string{"", "operator"} {
			h := wholePrivate(t, tokens(token))
			for _, route := range h.Routes() {
				if strings.HasPrefix(route.Method, "echo_") {
					continue // what answers 404
				}
				for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json", ""} {
					r := httptest.NewRequestWithContext(t.Context(), route.Method, route.Path, strings.NewReader(`{"source":"crm"}`))
					r.Host = here
					r.Header.Set("Content-Type", kind)
					if token != "" {
						r.Header.Set("Authorization", "Bearer "+token)
					}
					for k, v := range tt.send {
						r.Header.Set(k, v)
					}
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if refused := w.Code == http.StatusForbidden; refused != (tt.refused && route.Path != "/healthz") {
						t.Errorf("%s: %s %s as %q with token %q = %d %s", tt.name, route.Method, route.Path, kind, token, w.Code, w.Body)
					}
				}
			}
		}
	}
}

// A page that gave its own name our address is of the same origin to its browser, and of another
// name to us.
func TestAReboundNameIsRefusedOnEveryRoute(t *testing.T) {
	t.Parallel()
	h := wholePrivate(t, tokens(""))
	open := map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}
	for _, route := range h.Routes() {
		if strings.HasPrefix(route.Method, "echo_") || open[route.Path] {
			continue
		}
		r := httptest.NewRequestWithContext(t.Context(), route.Method, route.Path, strings.NewReader(`{"source":"crm"}`))
		r.Host = "evil.example:8081"
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", "http://evil.example:8081")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusMisdirectedRequest {
			t.Errorf("%s %s by a rebound name = %d %s, want 421", route.Method, route.Path, w.Code, w.Body)
		}
	}
}
