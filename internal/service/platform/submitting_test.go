package platform_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/service/platform"
	"receiver/internal/submission"
)

// A key is free again after a week, and the platform remembers jobs for longer.
func TestTheJobOfAnEarlierSubmissionIsNotFound(t *testing.T) {
	t.Parallel()
	tokens, err := callback.NewTokens([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now().UTC()
	address := callback.Address("https://r.example", tokens, callback.Grant{Source: "demo", Object: "contact", Submission: "KEY"})
	for name, tt := range map[string]struct {
		created time.Time
		found   bool
	}{
		"a job of now":               {begun.Add(time.Second), true},
		"by a clock that is wrong":   {begun.Add(-time.Hour), true},
		"of a first attempt":         {begun.Add(-6 * 24 * time.Hour), true},
		"of the same key a week ago": {begun.Add(-7 * 24 * time.Hour), false},
	} {
		p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `[{"id":"7","status":"COMPLETED","createdDate":%d,"notification_url":%q}]`, tt.created.UnixMilli(), address)
		}))
		defer p.Close()
		cfg := &config.Config{Sources: map[string]config.Source{"demo": {
			BaseURL: p.URL, ElementToken: config.NewSecret("e"), UserSecret: config.NewSecret("u"),
		}}}
		current, err := platform.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		event, err := platform.Submitting{Current: current, Tokens: tokens}.Find(t.Context(), job.Submission{Source: "demo", Name: "KEY", Object: "contact", Begun: begun})
		if err != nil || (event != nil) != tt.found {
			t.Errorf("%s: Find = %v, %v, want found %v", name, event, err, tt.found)
		}
	}
}

// The error of a request says whether there may be a job of it.
func TestErrorsOfSubmitting(t *testing.T) {
	t.Parallel()
	var code int
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if code == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "{}")
	}))
	defer p.Close()
	current, err := platform.New(&config.Config{Sources: map[string]config.Source{"demo": {
		BaseURL: p.URL, ElementToken: config.NewSecret("e"), UserSecret: config.NewSecret("u"), CallbackBaseURL: "https://r.example",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name               string
		code               int
		mayExist, answered bool
	}{
		{"refused", 400, false, false}, {"failed", 500, true, true}, {"elsewhere", 303, true, true}, {"no id", 200, true, true}, {"no answer", 0, true, false},
	} {
		code = tt.code
		_, err := platform.Submitting{Current: current}.Submit(t.Context(), submission.Request{
			Source: "demo", Direction: "UPLOAD", Object: "contact", FileName: "a.csv", Body: strings.NewReader("a"), Size: 1,
		}, "S")
		if err == nil || errors.Is(err, submission.ErrMayExist) != tt.mayExist || errors.Is(err, submission.ErrAnswered) != tt.answered || strings.Contains(err.Error(), "jobs find") {
			t.Errorf("%s: %v, want may exist %v, answered %v, and no advice to a command", tt.name, err, tt.mayExist, tt.answered)
		}
	}
}
