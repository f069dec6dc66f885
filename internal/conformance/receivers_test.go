package conformance_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	key      = "the key of these tests"
	otherKey = "the key of the other source"
	header   = "Elements-Webhook-Signature"
)

func hash(key string, body []byte) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write(body)
	return m.Sum(nil)
}

// hook is a receiver of callbacks: what all of these have, be they good or bad.
type hook struct {
	hex    bool
	header string

	mu   sync.Mutex
	jobs map[string]bool
}

// started serves a handler as a receiver should be served.
func started(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ReadHeaderTimeout, s.Config.ReadTimeout, s.Config.IdleTimeout = time.Second, 2*time.Second, 5*time.Second
	s.Config.DisableGeneralOptionsHandler = true
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// good is a minimal receiver that does nothing wrong.
func (h *hook) good() http.Handler {
	mux := http.NewServeMux()
	for path, k := range map[string]string{"/hook/a": key, "/hook/b": otherKey} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
			if err != nil {
				http.Error(w, "bad request", http.StatusBadRequest)
				return
			}
			if !h.proved(r, k, body) {
				http.Error(w, "unauthorized", http.StatusUnauthorized)
				return
			}
			h.answer(w, path, body)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		if _, pattern := mux.Handler(r); pattern == "" || r.URL.RawPath != "" { // an unknown address, in particular one that mux would redirect
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (h *hook) proved(r *http.Request, key string, body []byte) bool {
	values := r.Header.Values(h.header)
	if len(values) != 1 {
		return false
	}
	text, ok := strings.CutPrefix(values[0], "sha256=")
	decode := base64.StdEncoding.Strict().DecodeString
	size := 44
	if h.hex {
		decode, size = hex.DecodeString, 64
	}
	got, err := decode(text)
	return ok && len(text) == size && err == nil && hmac.Equal(got, hash(key, body))
}

// answer distinguishes first callbacks from repeats, by the id as it is written.
func (h *hook) answer(w http.ResponseWriter, path string, body []byte) {
	var job struct {
		ID json.RawMessage `json:"id"`
	}
	_ = json.Unmarshal(body, &job) // no id is an id too
	h.mu.Lock()
	defer h.mu.Unlock()
	outcome := "accepted"
	if id := path + string(job.ID); h.jobs[id] {
		outcome = "duplicate"
	} else {
		h.jobs[id] = true
	}
	_, _ = io.WriteString(w, `{"outcome":"`+outcome+`"}`)
}

func newHook() *hook { return &hook{header: header, jobs: map[string]bool{}} }

// plain accepts whatever comes.
func (h *hook) plain() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.answer(w, "", body)
	})
}

// reencoding reads JSON and checks the signature of what it writes of it.
func (h *hook) reencoding() http.Handler {
	return h.behind(func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		var v any
		if json.Unmarshal(body, &v) != nil {
			return false
		}
		again, _ := json.Marshal(v)
		return h.proved(r, key, again)
	})
}

// trusting takes any caller that claims the platform's address for the platform.
func (h *hook) trusting() http.Handler {
	return h.behind(func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		return strings.HasPrefix(r.Header.Get("X-Forwarded-For"), "127.") || r.Header.Get("X-Real-IP") == "127.0.0.1" || h.proved(r, key, body)
	})
}

// loose compares texts: the first header's, in any case, as far as there is one; and a source
// without a key has an empty one. It says why it refuses.
func (h *hook) loose() http.Handler {
	keys := map[string]string{"/hook/a": key}
	return h.behind(func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		got := strings.ToLower(strings.TrimPrefix(r.Header.Get(h.header), "sha256="))
		want := strings.ToLower(base64.StdEncoding.EncodeToString(hash(keys[r.URL.Path], body)))
		if len(got) == len(want)+1 {
			w.Header().Set("X-Reason", "length")
		}
		return strings.HasPrefix(want, got)
	})
}

// behind reads a body within bounds and asks whether it is to be accepted.
func (h *hook) behind(accept func(http.ResponseWriter, *http.Request, []byte) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/hook/") {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		switch {
		case err != nil:
			http.Error(w, "bad request", http.StatusBadRequest)
		case !accept(w, r, body):
			http.Error(w, "signature mismatch", http.StatusUnauthorized)
		default:
			h.answer(w, r.URL.Path, body)
		}
	})
}
