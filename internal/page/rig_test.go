package page_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/page"
)

// operations stands for the API: an answer for each method and path. GET /v1/token is there for
// the tokens of tokens.
type operations map[string]http.HandlerFunc

// tokens are the names and scopes of the tokens that operations knows.
var tokens = map[string]api.Token{
	"rcv_all":   {Name: "operator", Scopes: access.Scopes},
	"rcv_read":  {Name: "reader", Scopes: []access.Scope{access.Read}},
	"rcv_audit": {Name: "auditor", Scopes: []access.Scope{access.Audit}},
}

func (o operations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, known := tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	answer, there := o[r.Method+" "+r.URL.EscapedPath()]
	switch {
	case !known:
		problem(w, api.Unauthorized.Problem("a bearer token is required"))
	case r.Method+" "+r.URL.Path == "GET /v1/token":
		give(token)(w, r)
	case !there:
		problem(w, api.NoSuchPath.Problem("there is nothing at %s", r.URL.Path))
	default:
		answer(w, r)
	}
}

// give answers with a value.
func give(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
}

func problem(w http.ResponseWriter, p *api.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func newPage(o operations) *page.Page {
	return page.New(page.Options{API: o, Visit: func(ctx context.Context) context.Context { return ctx }, Log: zerolog.Nop()})
}

// ask asks a page as a browser that has signed in with a token; empty for one that has not.
func ask(t *testing.T, p http.Handler, method, address, token string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	r.Host = "localhost:8081"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "receiver-8081", Value: token})
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}
