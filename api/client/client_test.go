package client_test

import (
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/joblist"
)

func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, url, token, authorities, says string }{
		{"https", "https://receiver:8081", "rcv_x", "", ""},
		{"loopback", "http://127.0.0.1:8081", "rcv_x", "", ""},
		{"localhost", "http://localhost:8081/", "rcv_x", "", ""},
		{"loopback of IPv6", "http://[::1]:8081", "rcv_x", "", ""},
		{"clear text without a token", "http://receiver:8081", "", "", ""},
		{"a token in clear text", "http://receiver:8081", "rcv_x", "", "use https"},
		{"a name that begins like loopback", "http://127.0.0.1.example.com", "rcv_x", "", "use https"},
		{"no scheme", "receiver:8081", "", "", "not an address"},
		{"another scheme", "ftp://receiver", "", "", "not an address"},
		{"a password in the address", "https://a:b@receiver", "", "", "not an address"},
		{"a query", "https://receiver?a=b", "", "", "not an address"},
		{"nothing", "", "", "", "not an address"},
		{"a token of two lines", "https://receiver", "a\nb", "", "the token contains"},
		{"authorities that are none", "https://receiver", "", "x", "no certificate"},
	} {
		o := client.Options{URL: tt.url, Token: tt.token}
		if tt.authorities != "" {
			o.Authorities = []byte(tt.authorities)
		}
		_, err := client.Open(o)
		if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, client.ErrOptions) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
		if err != nil && strings.Contains(err.Error(), "rcv_x") {
			t.Errorf("%s: the error shows the token: %v", tt.name, err)
		}
	}
}

func TestAnswersOfAReceiver(t *testing.T) {
	t.Parallel()
	var code int
	var text string
	var seen http.Header
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		w.Header().Set("Location", "https://elsewhere.example")
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}))
	defer s.Close()
	c, err := client.Open(client.Options{
		URL: s.URL, Token: "rcv_x", UserAgent: "test/1",
		Authorities: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		code int
		text string
		says string
	}{
		{"a page", 200, `{"jobs":[],"complete":true,"last":7}`, ""},
		{"a problem", 404, `{"type":"urn:receiver:problem:unknown-source","title":"t","status":404,"detail":"no source","request_id":"r"}`, "no source"},
		{"a problem of another program", 404, `{"type":"about:blank"}`, "not that of a receiver"},
		{"a page of a proxy", 502, `<html>`, "502 Bad Gateway"},
		{"no JSON", 200, `<html>`, "not that of a receiver"},
		{"a redirect", 302, ``, "302 Found"},
	} {
		code, text = tt.code, tt.text
		page, err := client.Answer[joblist.Page](c.ListJobs(t.Context(), &api.ListJobsParams{}))
		if tt.says == "" && (err != nil || page.Last != 7) || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %+v, %v, want %q", tt.name, page, err, tt.says)
		}
		var p *api.Problem
		if errors.As(err, &p) != (tt.name == "a problem") {
			t.Errorf("%s: %v is a problem: %v", tt.name, err, p)
		}
		if p != nil && p.RetryAfter != 2 {
			t.Errorf("%s: to be repeated after %d s, want 2", tt.name, p.RetryAfter)
		}
	}
	if seen.Get("Authorization") != "Bearer rcv_x" || seen.Get("User-Agent") != "test/1" {
		t.Errorf("the request had %v", seen)
	}
	s.Close()
	if _, err := client.Answer[joblist.Page](c.ListJobs(t.Context(), &api.ListJobsParams{})); err == nil || !strings.Contains(err.Error(), "asking the receiver at "+s.URL) {
		t.Errorf("a receiver that is away: %v", err)
	}
}
