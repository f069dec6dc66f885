package page_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/checkpage"
)

// The view offers the checker with its digest, and the file is the one with this digest.
func TestTheCheckerIsHandedOut(t *testing.T) {
	t.Parallel()
	p := newPage(nil)
	w := ask(t, p, http.MethodGet, "/check", "rcv_read", nil)
	link := regexp.MustCompile(`href="(/check/[^"]+)" download`).FindStringSubmatch(w.Body.String())
	if w.Code != http.StatusOK || link == nil || !strings.Contains(w.Body.String(), checkpage.SHA256()) {
		t.Fatalf("GET /check = %d %s, want a link and the SHA-256 %s", w.Code, w.Body, checkpage.SHA256())
	}
	for _, token := range []string{"", "rcv_wrong", "rcv_audit"} {
		file := ask(t, p, http.MethodGet, link[1], token, nil)
		if file.Code != http.StatusOK || file.Body.String() != string(checkpage.Page()) {
			t.Errorf("GET %s with the token %q = %d with %d bytes, want the checker", link[1], token, file.Code, file.Body.Len())
		}
		// Opened at this address, it may run its own script, and ask for nothing.
		policy := file.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, checkpage.Policy()+";") || strings.Contains(policy, "'self'") || strings.Contains(policy, "unsafe") {
			t.Errorf("its policy is %q", policy)
		}
		if h := file.Header(); h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != "text/html; charset=utf-8" || len(h.Values("Set-Cookie")) > 0 {
			t.Errorf("its headers are %v", h)
		}
	}
}
