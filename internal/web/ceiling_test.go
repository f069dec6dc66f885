package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"receiver/internal/verify"
	"receiver/internal/web"
)

// The ceiling does what is compared: it refuses what is not signed, and answers 200 only
// for a body that is stored as it came.
func TestCeiling(t *testing.T) {
	const body = `{"id":"1","status":"COMPLETED"}`
	for _, tt := range []struct {
		name, key string
		err       error
		baseline  bool
		code      int
	}{
		{"signed", benchKey, nil, false, http.StatusOK},
		{"signed by another", "another", nil, false, http.StatusUnauthorized},
		{"not stored", benchKey, errors.New("no"), false, http.StatusInternalServerError},
		{"without a store", benchKey, nil, true, http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kept := ""
			store := func(_ context.Context, b []byte) error {
				kept = string(b)
				return tt.err
			}
			if tt.baseline {
				store = nil
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callbacks/demo", strings.NewReader(body))
			r.Header.Set(verify.Header, signed(tt.key, body))
			w := httptest.NewRecorder()
			web.NewCeiling(benchVerifier(t), store).ServeHTTP(w, r)
			if w.Code != tt.code || (kept == body) != (tt.key == benchKey && !tt.baseline) {
				t.Errorf("answered %d with %q stored, want %d", w.Code, kept, tt.code)
			}
		})
	}
}
