package checkpage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/checkpage"
)

// The file needs nothing but itself: it loads nothing, its policy permits no request, and only its
// own script and style.
func TestThePageStandsAlone(t *testing.T) {
	page := string(checkpage.Page())
	if len(page) > 100<<10 {
		t.Errorf("%d bytes, want at most 100 KiB", len(page))
	}
	if !bytes.Equal(checkpage.Page(), []byte(page)) {
		t.Error("it differs from one time to the next")
	}
	if sum := sha256.Sum256([]byte(page)); checkpage.SHA256() != hex.EncodeToString(sum[:]) {
		t.Errorf("SHA256 = %s, which is not that of the page", checkpage.SHA256())
	}
	for _, row := range []struct{ what, pattern string }{
		{"an address of another place", `(?i)https?:|wss?:|["'(]//`},
		{"code made of text", `\beval\b|new Function|setTimeout|setInterval|document\.write`},
		{"markup made of text", `innerHTML|outerHTML|insertAdjacentHTML|srcdoc`},
		{"a request", `\bfetch\b|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|\bimport\(`},
		{"a store", `localStorage|sessionStorage|indexedDB|\.cookie|caches\b`},
		{"an attribute with code or style", `(?i)<[^>]*\s(on[a-z]+|style)=`},
		{"another part that is loaded", `(?i)<(link|img|iframe|object|embed|base|video|audio)\b|\ssrc=|@import|url\(`},
		{"a place that was not filled", `\{(policy|style|script)\}`},
	} {
		if found := regexp.MustCompile(row.pattern).FindString(page); found != "" {
			t.Errorf("it has %s: %q", row.what, found)
		}
	}
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	between := func(from, to string) string {
		if strings.Count(page, from) != 1 || strings.Count(page, to) != 1 {
			t.Fatalf("there is not one %s and one %s", from, to)
		}
		_, rest, _ := strings.Cut(page, from)
		text, _, _ := strings.Cut(rest, to)
		return text
	}
	want := "default-src 'none'; script-src " + hash(between("<script>", "</script>")) + "; style-src " + hash(between("<style>", "</style>")) +
		"; base-uri 'none'; form-action 'none'"
	if checkpage.Policy() != want || between(`<meta http-equiv="Content-Security-Policy" content="`, "\">\n<meta name=\"viewport") != want {
		t.Errorf("the policy is %q, want %q", checkpage.Policy(), want)
	}
}
