package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/page"
)

// An address that net/http would redirect to a tidier one is the API's, as any other that is none
// of the page's: it refuses foreign hosts, and counts callbacks that went astray.
func TestAnUntidyAddressIsTheAPIs(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"//", "//v1/jobs", "//jobs", "/jobs//a", "/callbacks//a", "//callbacks/a/b", "/callbacks/a/../b", "/./signin", "/signin/..", "/signin/.", "/a/../jobs/b/c", "//evil.example/..", "/..//jobs",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut} {
			var asked string
			p := page.New(page.Options{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Method + " " + r.URL.Path
				w.WriteHeader(http.StatusTeapot)
			}), Log: zerolog.Nop()})
			r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost:8081"+address, nil)
			w := httptest.NewRecorder()
			if p.ServeHTTP(w, r); w.Code != http.StatusTeapot || asked != method+" "+address {
				t.Errorf("%s %s = %d to %q, and the API is asked %q", method, address, w.Code, w.Header().Get("Location"), asked)
			}
		}
	}
	for _, address := range []string{"/signin", "/signin?next=//a/../b", "/assets/page.css"} {
		if w := ask(t, newPage(nil), http.MethodGet, address, "", nil); w.Code != http.StatusOK {
			t.Errorf("%s = %d, want 200", address, w.Code)
		}
	}
}

// Where no token is needed, a cookie that another port of the host has set decides nothing.
func TestACookieWithoutTokensIsIgnored(t *testing.T) {
	t.Parallel()
	p := page.New(page.Options{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/token":
			give(api.Token{Scopes: access.Scopes})(w, r)
		case "/v1/sources":
			give(api.Sources{Sources: []api.SourceStatus{{Name: "a"}}})(w, r)
		default:
			problem(w, api.Unavailable.Problem("it is not there"))
		}
	}), Log: zerolog.Nop()})
	field := func(token string) string {
		return csrfField.FindStringSubmatch(ask(t, p, http.MethodGet, "/submit?source=a&object=b", token, nil).Body.String())[1]
	}
	if field("planted") != field("") {
		t.Error("the cookie decides the CSRF token")
	}
	if w := ask(t, p, http.MethodGet, "/", "planted", nil); strings.Contains(w.Body.String(), "Sign out") {
		t.Error("the page offers to sign out, where nobody signs in")
	}
}
