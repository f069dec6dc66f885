package page_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/page"
)

// What net/http would redirect to a tidier address is the API's, as any other that is none of the
// page's: it refuses foreign hosts, and counts callbacks that went astray.
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
