package web_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/verify"
)

// While authentic callbacks come, answers to unauthenticated requests go out at 2,000 a second for
// each processor, whatever the reason, and so do those to repeats; otherwise, and to new events, at
// once.
func TestRefusalsGiveWay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	const forged, path = "another", "/callbacks/demo"
	for _, tt := range []struct {
		name, method, path, key string
		headers                 []string // names and values
		body                    string
		code                    int
		cost                    int // in answers
	}{
		{"a forged callback", "POST", path, forged, nil, benchBody, 401, 1},
		{"at an unknown source", "POST", "/callbacks/nobody", benchKey, nil, benchBody, 401, 1},
		{"unsigned", "POST", path, "", nil, benchBody, 401, 1},
		{"forged and large", "POST", path, forged, nil, strings.Repeat("x", 160<<10), 401, 11},
		{"a body that is too large", "POST", path, benchKey, nil, strings.Repeat("x", 8<<20+1), 413, 1},
		{"an encoded body", "POST", path, benchKey, []string{"Content-Encoding", "gzip"}, benchBody, 415, 1},
		{"another address", "POST", "/nothing", benchKey, nil, benchBody, 404, 1},
		{"another method", "PUT", path, benchKey, nil, benchBody, 405, 1},
		{"a repeat", "POST", path, benchKey, nil, `{"id":"again","status":"COMPLETED"}`, 200, 1},
		{"an authentic callback", "POST", path, benchKey, nil, benchBody, 200, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := public(t)
				send := func(method, path, signature, body string, headers ...string) int {
					r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
					if signature != "" {
						r.Header.Set(verify.Header, signature)
					}
					for i := 0; i < len(headers); i += 2 {
						r.Header.Set(headers[i], headers[i+1])
					}
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					return w.Code
				}
				const second = 2000 * 2 // answers
				signature := ""
				if tt.key != "" {
					signature = signed(tt.key, tt.body)
				}
				flood := func() time.Duration {
					began := time.Now()
					var all sync.WaitGroup
					for range second / 8 / max(tt.cost, 1) {
						all.Go(func() {
							if got := send(tt.method, tt.path, signature, tt.body, tt.headers...); got != tt.code {
								t.Errorf("answered %d, want %d", got, tt.code)
							}
						})
					}
					all.Wait()
					return time.Since(began)
				}
				if tt.cost > 0 {
					if took := flood(); took > 0 {
						t.Errorf("with nothing authentic, answers took %v, want none to wait", took)
					}
				}
				if got := send("POST", path, signed(benchKey, benchBody), benchBody); got != http.StatusOK {
					t.Fatalf("an authentic callback was answered %d", got)
				}
				took := flood()
				if want := 125 * time.Millisecond; tt.cost > 0 && (took < want*8/10 || took > want*12/10) {
					t.Errorf("beside an authentic callback, answers took %v, want about %v", took, want)
				}
				if tt.cost == 0 && took > 0 {
					t.Errorf("authentic callbacks took %v, want none to wait", took)
				}
				<-time.After(time.Minute)
				if took := flood(); took > 0 {
					t.Errorf("a minute later, answers took %v, want none to wait", took)
				}
			})
		})
	}
}

// An answer that waits has an end, however many come, and the question whether the process
// lives waits behind no flood of anything else.
func TestAnAnswerWaitsForAnEnd(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	for _, tt := range []struct {
		method, path string
		most         time.Duration
	}{
		{http.MethodPost, "/callbacks/nobody", 2 * time.Second},
		{http.MethodGet, "/healthz", 250 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			handler := public(t)
			send := func(method, path, key string) {
				r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(benchBody))
				r.Header.Set(verify.Header, signed(key, benchBody))
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
			send(http.MethodPost, "/callbacks/demo", benchKey)
			began := time.Now()
			var all sync.WaitGroup
			for range 10_000 {
				all.Go(func() { send(tt.method, tt.path, "another") })
			}
			synctest.Wait()
			send(http.MethodGet, "/healthz", "")
			if took := time.Since(began); tt.method == http.MethodPost && took > 0 {
				t.Errorf("behind a flood of refusals /healthz took %v, want no time", took)
			}
			all.Wait()
			if took := time.Since(began); took > tt.most+10*time.Millisecond {
				t.Errorf("%s %s was answered after %v, want %v at most", tt.method, tt.path, took, tt.most)
			}
		})
	}
}
