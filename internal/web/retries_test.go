package web_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/metrics"
	"receiver/internal/verify"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

const retryKey = "MySecretEventSignatureKey"

// retryRig is both listeners over a store that is up or down.
type retryRig struct {
	t               *testing.T
	public, private http.Handler
	down            bool
}

func newRetryRig(t *testing.T) *retryRig {
	t.Helper()
	key, err := verify.NewKey("2026", []byte(retryKey), verify.Window{NotAfter: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(key)
	if err != nil {
		t.Fatal(err)
	}
	rig := &retryRig{t: t}
	r, err := callback.New(callback.Options{Store: rig, Sources: []callback.Source{{Name: "crm", Verifier: v}}})
	if err != nil {
		t.Fatal(err)
	}
	m, p := metrics.New(nil), callback.NewRetryState()
	m.ShowRetryState(r, p)
	m.SetSources([]keyusage.Key{{Source: "crm", Name: key.Name(), Fingerprint: key.Fingerprint()}})
	rig.public = web.NewPublic(web.Public{
		Receiver: r, BodyLimit: 100, Metrics: m, Retries: p, Log: zerolog.Nop(),
	})
	rig.private = web.NewPrivate(web.Private{
		Access: tokens("operator"), Ready: func(context.Context) error { return nil }, Metrics: m, API: apiserver.Server{Sources: apiserver.SourcesOf(r, p, m.Source, time.Now())}, Log: zerolog.Nop(),
	})
	return rig
}

// Publish, Record and Offer make the rig a callback.Store.
func (r *retryRig) Publish(_ context.Context, e job.Event) (job.Stored, error) {
	if r.down {
		return job.Stored{}, errors.New("down")
	}
	return job.Stored{Event: e, Sequence: 1}, nil
}

func (r *retryRig) Record(context.Context, job.Attempt) error { return nil }

func (r *retryRig) Offer(func() job.Attempt) bool { return true }

func signature(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (r *retryRig) post(source, signature, body string, headers ...string) int {
	q := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, "/callbacks/"+source, strings.NewReader(body))
	if signature != "" {
		q.Header.Set(verify.Header, signature)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		q.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	r.public.ServeHTTP(w, q)
	return w.Code
}

func (r *retryRig) get(path, token string) (int, string) {
	q := httptest.NewRequestWithContext(r.t.Context(), http.MethodGet, path, nil)
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	w := apitest.Serve(r.t, r.private, q)
	return w.Code, w.Body.String()
}

func (r *retryRig) standing() api.SourceStatus {
	r.t.Helper()
	code, body := r.get("/v1/sources", "operator")
	var answer api.Sources
	if err := json.Unmarshal([]byte(body), &answer); err != nil || code != 200 || len(answer.Sources) != 1 || answer.Since.IsZero() {
		r.t.Fatalf("GET /v1/sources = %d %s (%v), want 200 and one source", code, body, err)
	}
	return answer.Sources[0]
}

const retryBody = `{"id":"7","status":"COMPLETED"}`

// A source says what this process has accepted and refused.
func TestSourcesSayWhatCame(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t)
	if s := r.standing(); !s.Authentic.IsZero() || len(s.RefusedBy) != 0 || !s.Keys[0].LastUse.IsZero() {
		t.Errorf("at the start: %+v", s)
	}
	right := signature(retryKey, retryBody)
	for _, s := range []string{right, right, signature("another", retryBody), "sha256=x", ""} {
		r.post("crm", s, retryBody)
	}
	s := r.standing()
	if want := map[string]int64{"mismatch": 1, "malformed": 1, "missing": 1}; !maps.Equal(s.RefusedBy, want) {
		t.Errorf("refused %v, want %v", s.RefusedBy, want)
	}
	if s.Authentic.IsZero() || !s.Keys[0].LastUse.Equal(s.Authentic) {
		t.Errorf("the last authentic callback came %v, by the key %v", s.Authentic, s.Keys[0].LastUse)
	}
}

// Only answers that the platform itself may have got use up its retries.
func TestAnswersThatUseUpRetries(t *testing.T) {
	t.Parallel()
	right, other := signature(retryKey, retryBody), signature("another", retryBody)
	for _, tt := range []struct {
		name    string
		post    func(*retryRig) int
		code    int
		inARow  int
		reason  string
		failing int
	}{
		{"accepted", func(r *retryRig) int { return r.post("crm", right, retryBody) }, 200, 0, "", 0},
		{"signed with another key", func(r *retryRig) int { return r.post("crm", other, retryBody) }, 401, 1, "mismatch", 1},
		{"not signed", func(r *retryRig) int { return r.post("crm", "", retryBody) }, 401, 0, "", 0},
		{"a signature of no form", func(r *retryRig) int { return r.post("crm", "sha256=x", retryBody) }, 401, 0, "", 0},
		{"a source that there is not", func(r *retryRig) int { return r.post("erp", other, retryBody) }, 401, 0, "", 0},
		{"the store is down", func(r *retryRig) int { r.down = true; return r.post("crm", right, retryBody) }, 503, 1, "unavailable", 1},
		{"too large", func(r *retryRig) int { return r.post("crm", right, strings.Repeat("x", 101)) },
			413, 1, "Request Entity Too Large", 0},
		{"too large, not signed", func(r *retryRig) int { return r.post("crm", "", strings.Repeat("x", 101)) }, 413, 0, "", 0},
		{"too large, a source that there is not", func(r *retryRig) int { return r.post("erp", right, strings.Repeat("x", 101)) }, 413, 0, "", 0},
		{"encoded", func(r *retryRig) int { return r.post("crm", right, retryBody, "Content-Encoding: gzip") },
			415, 1, "encoded", 1},
		{"encoded, not signed", func(r *retryRig) int { return r.post("crm", "", retryBody, "Content-Encoding: gzip") }, 415, 0, "", 0},
		{"encoded, a source that there is not", func(r *retryRig) int { return r.post("erp", right, retryBody, "Content-Encoding: gzip") },
			415, 0, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRetryRig(t)
			if got := tt.post(r); got != tt.code {
				t.Errorf("answer %d, want %d", got, tt.code)
			}
			got := r.standing()
			if got.InARow != tt.inARow || got.Reason != tt.reason || got.Failing != tt.failing {
				t.Errorf("Standing = %+v, want %d in a row for %q and %d failing", got.Standing, tt.inARow, tt.reason, tt.failing)
			}
			if accepted := tt.code == 200; accepted == got.Accepted.IsZero() {
				t.Errorf("last accepted %v after %d", got.Accepted, tt.code)
			}
		})
	}
}

func TestSourcesNeedTheTokenAndNameKeysOnly(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t)
	for _, token := range []string{"", "wrong"} {
		if code, body := r.get("/v1/sources", token); code != 401 {
			t.Errorf("GET /v1/sources with token %q = %d %s, want 401", token, code, body)
		}
	}
	got := r.standing()
	if len(got.Keys) != 1 || got.Keys[0].Name != "2026" || !strings.HasPrefix(got.Keys[0].Fingerprint, "sha256:") || got.Keys[0].NotAfter.IsZero() {
		t.Errorf("Keys = %+v, want name, fingerprint and window of one", got.Keys)
	}
	if _, body := r.get("/v1/sources", "operator"); strings.Contains(body, retryKey) {
		t.Errorf("GET /v1/sources shows a key: %s", body)
	}
}

func TestRetryMetrics(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t)
	show := func() string { _, body := r.get("/metrics", "operator"); return body }
	if got := show(); !strings.Contains(got, `receiver_patience_attempts_left{source="crm"} 5`) ||
		strings.Contains(got, "receiver_patience_next_retry_timestamp_seconds{") {
		t.Errorf("metrics at first lack 5 attempts left, or name a retry:\n%s", got)
	}
	other := signature("another", retryBody)
	r.post("crm", other, retryBody)
	r.post("crm", other, retryBody)
	got := show()
	for _, want := range []string{
		`receiver_patience_failures_in_a_row{source="crm"} 2`, `receiver_patience_attempts_left{source="crm"} 5`,
		`receiver_patience_deliveries_failing{source="crm"} 1`, `receiver_patience_deliveries_given_up{source="crm"} 0`,
		`receiver_patience_next_retry_timestamp_seconds{source="crm"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}
