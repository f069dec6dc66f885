package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/diagnose"
	"receiver/internal/metrics"
	"receiver/internal/verify"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

const explainToken = "operator"

// explainListener is a private listener whose explainer repeats the question.
func explainListener(explain apiserver.Explainer) http.Handler {
	return web.NewPrivate(web.Private{
		Access: tokens(explainToken), Ready: func(context.Context) error { return nil },
		Metrics: metrics.New(nil), API: apiserver.Server{Explainer: explain, Trail: archive{}}, Record: unrecorded, ExplainBody: 100, Log: zerolog.Nop(),
	})
}

func askExplain(ctx context.Context, t *testing.T, handler http.Handler, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/verify/explain", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	return apitest.Serve(t, handler, r)
}

func TestExplainAnswers(t *testing.T) {
	t.Parallel()
	handler := explainListener(func(_ context.Context, source string, signatures []string, body []byte) (api.Explanation, bool) {
		e := api.NewExplanation(verify.Verdict{Reason: verify.Mismatch})
		e.Findings = []diagnose.Finding{{Code: source, Text: strings.Join(signatures, "|"), Next: string(body)}}
		e.Compared = 3
		return e, source == "crm"
	})
	const question = `{"source":"crm","signatures":["a","b"],"body":"e30K"}`
	for _, tt := range []struct {
		name, token, body string
		code              int
		want              string
	}{
		{"a question", explainToken, question, 200,
			`{"accepted":false,"compared":3,"findings":[{"code":"crm","proved":false,"text":"a|b","next":"{}\n"}],"reason":"mismatch"}`},
		{"without the token", "wrong", question, 401, "bearer token"},
		{"no such source", explainToken, `{"source":"shop"}`, 404, "no source"},
		{"no JSON", explainToken, `source=crm`, 400, "JSON object"},
		{"no base64", explainToken, `{"source":"crm","body":"{}"}`, 400, "base64"},
		{"something after it", explainToken, question + question, 400, "JSON object"},
		{"many signatures", explainToken, `{"source":"crm","signatures":[` + strings.Repeat(`"a",`, 16) + `"a"]}`, 400, "more than 16 signatures"},
		{"over the limit", explainToken, `{"source":"crm","body":"` + strings.Repeat("A", 66<<10) + `"}`, 413, "limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := askExplain(t.Context(), t, handler, tt.token, tt.body)
			if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.want) {
				t.Errorf("POST = %d %s, want %d with %s", got.Code, got.Body, tt.code, tt.want)
			}
		})
	}
}

func TestExplanationOfWhatIsAccepted(t *testing.T) {
	t.Parallel()
	key, err := verify.NewKey("2026", []byte("secret"), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(api.NewExplanation(verify.Verdict{Key: key}))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"accepted":true,"compared":0,"findings":[],"fingerprint":"` + key.Fingerprint() + `","key":"2026"}`; string(got) != want {
		t.Errorf("NewExplanation = %s, want %s", got, want)
	}
}

// Requests wait for each other, and one whose caller has gone is not answered.
func TestExplainTakesOneQuestionAtATime(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	var inside, asked atomic.Int32
	handler := explainListener(func(context.Context, string, []string, []byte) (api.Explanation, bool) {
		if inside.Add(1) > 1 {
			t.Error("two questions at once")
		}
		defer inside.Add(-1)
		asked.Add(1)
		entered <- struct{}{}
		<-leave
		return api.NewExplanation(verify.Verdict{}), true
	})
	done := make(chan int)
	ask := func(ctx context.Context) { done <- askExplain(ctx, t, handler, explainToken, `{"source":"demo"}`).Code }
	go ask(t.Context())
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	go ask(gone)
	if code := <-done; code == http.StatusOK {
		t.Errorf("the question of one who has gone = %d, want an error", code)
	}
	go func() { // of a stored callback, too
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/callbacks/ATTEMPTS/7/explain", nil)
		r.Header.Set("Authorization", "Bearer "+explainToken)
		done <- apitest.Serve(t, handler, r).Code
	}()
	leave <- struct{}{}
	<-done
	<-entered
	leave <- struct{}{}
	<-done
	if got := asked.Load(); got != 2 {
		t.Errorf("the explainer was asked %d times, want 2", got)
	}
}

// Questions that wait take no more memory than four of the largest, however many are asked.
func TestQuestionsThatWaitShareABound(t *testing.T) {
	t.Parallel()
	const asked, kept = 12, 4
	entered, leave := make(chan struct{}, asked), make(chan struct{})
	handler := explainListener(func(context.Context, string, []string, []byte) (api.Explanation, bool) {
		entered <- struct{}{}
		<-leave
		return api.NewExplanation(verify.Verdict{}), true
	})
	large := `{"source":"demo"}` + strings.Repeat(" ", 64<<10) // near the limit
	codes := make(chan int, asked)
	ask := func() { codes <- askExplain(t.Context(), t, handler, explainToken, large).Code }
	go ask()
	<-entered
	for range asked - 1 {
		go ask()
	}
	for n := range asked - kept {
		select {
		case code := <-codes:
			if code != http.StatusServiceUnavailable {
				t.Errorf("one too many = %d, want 503", code)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d questions were refused while one is answered, want %d", n, asked, asked-kept)
		}
	}
	close(leave)
	for range kept {
		<-codes
	}
}
