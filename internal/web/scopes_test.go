package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/access"
	"receiver/internal/metrics"
	"receiver/internal/verify"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

// routesOf returns the routes of the private listener but GET /healthz, which is open.
func routesOf(h *echo.Echo) (routes []*echo.Route) {
	for _, r := range h.Routes() {
		if !strings.HasPrefix(r.Method, "echo_") && r.Method+" "+r.Path != "GET /healthz" {
			routes = append(routes, r)
		}
	}
	return routes
}

// ask asks for a route with a token.
func ask(t *testing.T, h http.Handler, method, path, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(`{"source":"crm"}`))
	r.Host = "ops.example.com"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("X-Request-Id", "request-7")
	return apitest.Serve(t, h, r)
}

// Every route has exactly one scope, the one in docs/api.md; without it the answer says
// which is missing, and without a valid token it is the same bytes whatever was sent.
func TestEveryRouteHasOneScope(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:GET|POST) [^`]+)` \\| `([a-z]+)` \\|").FindAllStringSubmatch(string(docs), -1) {
		told[strings.NewReplacer("{tile}", "*", "{", ":", "}", "").Replace(row[1])] = row[2]
	}
	set := access.NewSet("", 100_000, time.Now)
	secrets, all := map[access.Scope]string{}, []access.Token{}
	for _, s := range access.Scopes {
		secret, token, err := access.New(string(s), []access.Scope{s}, time.Now(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		secrets[s], all = secret, append(all, token)
	}
	ended, token, err := access.New("ended", access.Scopes, time.Now(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	set.Replace(append(all, token), true)
	h := wholePrivate(t, set)
	var refused string
	for _, route := range routesOf(h) {
		name := route.Method + " " + route.Path
		open := 0
		for s, secret := range secrets {
			w := ask(t, h, route.Method, route.Path, secret)
			if w.Code == http.StatusForbidden {
				if want := `the token lacks the scope ` + told[name] + `;`; !strings.Contains(w.Body.String(), want) {
					t.Errorf("%s with the scope %s = %s, want %s", name, s, w.Body, want)
				}
				continue
			}
			open++
			if told[name] != string(s) && told[name] != string(access.Any) || w.Code >= http.StatusInternalServerError {
				t.Errorf("%s is opened by the scope %s (%d), and docs/api.md says %q", name, s, w.Code, told[name])
			}
		}
		if want := map[bool]int{true: len(access.Scopes), false: 1}[told[name] == string(access.Any)]; open != want {
			t.Errorf("%s is opened by %d scopes, want %d: give it one in api/openapi.yaml, or any", name, open, want)
		}
		delete(told, name)
		for _, wrong := range []string{"", ended, "rcv_", secrets[access.Read] + "x", "operator"} {
			if wrong == "" && name == "GET /readyz" {
				continue // TestProbesNeedNoToken
			}
			w := ask(t, h, route.Method, route.Path, wrong)
			if refused == "" {
				refused = w.Body.String()
			}
			if w.Code == http.StatusTooManyRequests {
				continue
			}
			if w.Code != http.StatusUnauthorized || w.Body.String() != refused || strings.Contains(w.Body.String(), "ended") {
				t.Errorf("%s without a valid token = %d %s, want 401 and %s", name, w.Code, w.Body, refused)
			}
		}
	}
	for name := range told {
		t.Errorf("docs/api.md has %s, which is not there", name)
	}
	if w := ask(t, h, http.MethodDelete, "/v1/none", secrets[access.Admin]); w.Code != http.StatusNotFound {
		t.Errorf("nothing there = %d, want 404", w.Code)
	}
}

// Each action with a token is recorded before it, by the token's name, and again with its result;
// an action that cannot be recorded is not done.
func TestUsesAreRecorded(t *testing.T) {
	t.Parallel()
	var uses []web.Use
	var done int
	fails := errors.New("NATS is away")
	var fail error
	h := web.NewPrivate(web.Private{
		Access: tokens("operator"), Metrics: metrics.New(nil), ExplainBody: 100, Log: zerolog.Nop(),
		Record: func(_ context.Context, u web.Use) (uint64, error) {
			if u.Status == 0 && done > 0 {
				t.Error("recorded after it was done")
			}
			uses = append(uses, u)
			return 7, fail
		},
		API: apiserver.Server{Explainer: func(context.Context, string, []string, []byte) (api.Explanation, bool) {
			done++
			return api.NewExplanation(verify.Verdict{}), true
		}},
	})
	if w := ask(t, h, http.MethodPost, "/v1/verify/explain", "operator"); w.Code != http.StatusOK {
		t.Fatalf("explain = %d %s", w.Code, w.Body)
	}
	use := web.Use{Token: "config", Remote: "192.0.2.1", Route: "POST /v1/verify/explain", Request: "request-7"}
	after := use
	after.Status, after.Of = 200, 7
	if len(uses) != 2 || uses[0] != use || uses[1] != after {
		t.Errorf("recorded %+v, want %+v and %+v", uses, use, after)
	}
	done, fail = 0, fails
	if w := ask(t, h, http.MethodPost, "/v1/verify/explain", "operator"); w.Code != http.StatusServiceUnavailable || done != 0 {
		t.Errorf("unrecorded = %d, and it was done %d times", w.Code, done)
	}
	uses = nil
	ask(t, h, http.MethodPost, "/v1/verify/explain", "wrong")
	ask(t, h, http.MethodGet, "/metrics", "operator")
	if len(uses) != 0 {
		t.Errorf("recorded %+v of what was refused or only read", uses)
	}
}

func TestTokensAreCountedByName(t *testing.T) {
	t.Parallel()
	now := time.Now()
	set, m := access.NewSet("operator", 1, func() time.Time { return now }), metrics.New(nil)
	m.ShowAccess(set)
	_, gone, err := access.New("gone", access.Scopes, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	h := web.NewPrivate(web.Private{Access: set, Metrics: m, Log: zerolog.Nop()})
	scrape := func() string {
		w := httptest.NewRecorder()
		web.FromFolder(h).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	set.Replace([]access.Token{gone}, true)
	for range 3 {
		ask(t, h, http.MethodGet, "/metrics", "operator")
	}
	ask(t, h, http.MethodGet, "/metrics", "wrong")
	for _, want := range []string{
		`receiver_private_requests_total{outcome="served",token="config"} 1`, `receiver_private_requests_total{outcome="unauthorized",token=""} 1`,
		`receiver_private_token_last_used_timestamp_seconds{token="config"}`, `{outcome="served",token="gone"} 0`,
	} {
		if got := scrape(); !strings.Contains(got, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if w := ask(t, h, http.MethodGet, "/metrics", "operator"); w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	set.Replace(nil, true)
	if strings.Contains(scrape(), `"gone"`) {
		t.Error("a token that was removed is still shown")
	}
}
