//go:build e2e

package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/callback"
	"receiver/internal/metrics"
	"receiver/internal/verify"
	"receiver/internal/web"
)

// The time of an answer reveals neither the sources, nor the number of their keys, nor how much of
// a signature is right. The requests of a pair alternate, and their medians are compared; the
// comparison is repeated for as long as the machine is busy.
func TestRefusalsTakeTheSameTime(t *testing.T) {
	handler, one := equalListener(t), signature(benchKey, "another body")
	first, last := []byte(one), []byte(one)
	first[len("sha256=")] = 'A' + ('B' - first[len("sha256=")]&1)
	last[len(last)-3] ^= 1
	for _, tt := range []struct {
		name           string
		sourceA, signA string
		sourceB, signB string
	}{
		{"a source that there is and one that there is not", "one", one, "nobody", one},
		{"one key and two", "one", one, "two", one},
		{"the first byte is wrong and the last", "one", string(first), "one", string(last)},
		{"without a signature, there is and there is not", "one", "", "nobody", ""},
		{"a malformed signature, there is and there is not", "one", "sha256=x", "nobody", "sha256=x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const most, tries = 1.06, 12
			best := 9.0
			for range tries {
				a, b := interleaved(t, handler, tt.sourceA, tt.signA, tt.sourceB, tt.signB)
				ratio := float64(max(a, b)) / float64(min(a, b))
				if best = min(best, ratio); best <= most {
					t.Logf("%v and %v: %.3f", a, b, ratio)
					return
				}
			}
			t.Errorf("one takes %.2f times as long as the other at best, want at most %v", best, most)
		})
	}
}

// interleaved returns the medians of two requests that come in turns, each with a body of its
// own as forgeries have.
func interleaved(t *testing.T, h http.Handler, sourceA, signA, sourceB, signB string) (a, b time.Duration) {
	t.Helper()
	const rounds = 6000
	var as, bs []time.Duration
	for i := range rounds {
		body := fmt.Sprintf("%0200d", time.Now().UnixNano())
		if i%2 == 0 {
			as, bs = append(as, timed(t, h, sourceA, signA, body)), append(bs, timed(t, h, sourceB, signB, body))
		} else {
			bs, as = append(bs, timed(t, h, sourceB, signB, body)), append(as, timed(t, h, sourceA, signA, body))
		}
	}
	slices.Sort(as)
	slices.Sort(bs)
	return as[rounds/2], bs[rounds/2]
}

func timed(t *testing.T, h http.Handler, source, sign, body string) time.Duration {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callbacks/"+source, strings.NewReader(body))
	if sign != "" {
		r.Header.Set(verify.Header, sign)
	}
	w := httptest.NewRecorder()
	began := time.Now()
	h.ServeHTTP(w, r)
	took := time.Since(began)
	if w.Code != http.StatusUnauthorized {
		t.Fatalf("answered %d", w.Code)
	}
	return took
}

// equalListener is the public listener with a source of one key and one of two, whose table of
// failing deliveries is full after a flood.
func equalListener(t *testing.T) http.Handler {
	t.Helper()
	second, err := verify.NewKey("second", []byte("another-key-of-this-test"), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	both, err := verify.New(append(benchVerifier(t).Keys(), second)...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := callback.New(callback.Options{Store: takesAll{}, AttemptBody: 64 << 10, Sources: []callback.Source{
		{Name: "one", Verifier: benchVerifier(t)}, {Name: "two", Verifier: both},
	}})
	if err != nil {
		t.Fatal(err)
	}
	h := web.NewPublic(web.Public{
		Receiver: r, BodyLimit: 1 << 20, Metrics: metrics.New(nil),
		Retries: callback.NewRetryState(), Log: zerolog.Nop(),
	})
	for i := range 6 * callback.MaxFailing {
		for _, source := range []string{"one", "two", "nobody"} {
			timed(t, h, source, signature("forged", "x"), fmt.Sprint(i%callback.MaxFailing))
		}
	}
	return h
}
