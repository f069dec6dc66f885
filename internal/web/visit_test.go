package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"receiver/internal/access"
	"receiver/internal/web"
)

// The operations of one visit count as one for the rate of its token, and permit no other token and
// none that was removed meanwhile.
func TestAVisitCountsOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	set := access.NewSet("", 1, func() time.Time { return now })
	made := func(name string) (string, access.Token) {
		secret, token, err := access.New(name, []access.Scope{access.Read}, now, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return secret, token
	}
	one, first := made("one")
	two, second := made("two")
	set.Replace([]access.Token{first, second}, true)
	h := wholePrivate(t, set)
	in := func(ctx context.Context, secret string) int {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/token", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	visit := web.Visit(t.Context())
	for n := range 50 {
		if got := in(visit, one); got != http.StatusOK {
			t.Fatalf("operation %d of a visit = %d", n, got)
		}
	}
	if got := in(web.Visit(t.Context()), one); got != http.StatusTooManyRequests {
		t.Errorf("a second visit within the second = %d", got)
	}
	if got := in(t.Context(), two); got != http.StatusOK {
		t.Fatalf("another token = %d", got)
	}
	if got := in(visit, two); got != http.StatusTooManyRequests {
		t.Errorf("another token, whose rate is used up, in the visit of the first = %d", got)
	}
	if got := in(visit, "rcv_none"); got != http.StatusUnauthorized {
		t.Errorf("no token in that visit = %d", got)
	}
	set.Replace([]access.Token{second}, true)
	if got := in(visit, one); got != http.StatusUnauthorized {
		t.Errorf("the token, removed meanwhile = %d", got)
	}
}
