package ceiling_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"receiver/internal/bench/ceiling"
	"receiver/internal/verify"
)

// The ceiling does what is compared: it refuses what is not signed, and answers 200 only
// for a body that is stored as it came.
func TestCeiling(t *testing.T) {
	const (
		body   = `{"id":"1","status":"COMPLETED"}`
		signer = "the-key-of-the-benchmarks"
	)
	key, err := verify.NewKey("bench", []byte(signer), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := verify.New(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, key string
		err       error
		baseline  bool
		code      int
	}{
		{"signed", signer, nil, false, http.StatusOK},
		{"signed by another", "another", nil, false, http.StatusUnauthorized},
		{"not stored", signer, errors.New("no"), false, http.StatusInternalServerError},
		{"without a store", signer, nil, true, http.StatusUnauthorized},
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
			mac := hmac.New(sha256.New, []byte(tt.key))
			mac.Write([]byte(body))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callbacks/demo", strings.NewReader(body))
			r.Header.Set(verify.Header, "sha256="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
			w := httptest.NewRecorder()
			ceiling.New(verifier, store).ServeHTTP(w, r)
			if w.Code != tt.code || (kept == body) != (tt.key == signer && !tt.baseline) {
				t.Errorf("answered %d with %q stored, want %d", w.Code, kept, tt.code)
			}
		})
	}
}
