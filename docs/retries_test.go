package docs_test

import (
	"fmt"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/keyusage"
	"receiver/internal/metrics"
	"receiver/internal/verify"
	"receiver/internal/web"
)

func TestOperationsShowsTheSpacing(t *testing.T) {
	manual := section(t, "operations.md", "## The platform's retries")
	rows := regexp.MustCompile(`(?m)^\| (\d) \| ([\d,]+) s later \|`).FindAllStringSubmatch(manual, -1)
	if len(rows) != len(callback.Spacing()) {
		t.Fatalf("operations.md shows %d retries, want %d", len(rows), len(callback.Spacing()))
	}
	for i, pause := range callback.Spacing() {
		got, err := strconv.Atoi(strings.ReplaceAll(rows[i][2], ",", ""))
		if err != nil || rows[i][1] != fmt.Sprint(i+1) || time.Duration(got)*time.Second != pause {
			t.Errorf("operations.md has %q, want %v after attempt %d", rows[i][0], pause, i+1)
		}
	}
}

func TestOperationsNamesWhatIsShown(t *testing.T) {
	manual := section(t, "operations.md", "### What to look at")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[callback.Standing]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		// When and why the last one was refused is one fact for a reader.
		if name != "last_refused" && !strings.Contains(manual, "`"+name+"`") {
			t.Errorf("operations.md does not name the member `%s`", name)
		}
	}
	key, err := verify.NewKey("2026", []byte("MySecretEventSignatureKey"), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := callback.New(callback.Options{Sources: []callback.Source{{Name: "crm", Verifier: v}}})
	if err != nil {
		t.Fatal(err)
	}
	m, p := metrics.New(nil), callback.NewRetryState()
	m.ShowRetryState(r, p)
	p.Failed("crm", []byte("body"), "mismatch", time.Now()) // so that a retry is expected
	w := httptest.NewRecorder()
	web.NewPrivate(web.Private{Metrics: m}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	names := regexp.MustCompile(`(?m)^receiver_patience_\w+`).FindAllString(w.Body.String(), -1)
	if len(names) != 5 {
		t.Errorf("there are %d gauges of retries, want 5: %q", len(names), names)
	}
	for _, name := range names {
		if !strings.Contains(manual, "`"+name+"`") {
			t.Errorf("operations.md does not name the gauge `%s`", name)
		}
	}
}

func TestKeysNamesWhatIsShown(t *testing.T) {
	manual := read(t, "keys.md")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[keyusage.Use]()) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && !strings.Contains(manual, "`"+name+"`") {
			t.Errorf("keys.md does not name the member `%s`", name)
		}
	}
	for _, state := range []keyusage.State{keyusage.Active, keyusage.Early, keyusage.Expired, keyusage.Removed} {
		if !strings.Contains(manual, "`"+string(state)+"`") {
			t.Errorf("keys.md does not name the state `%s`", state)
		}
	}
	if want := fmt.Sprintf("## Why %.0f hours", keyusage.RetrySpan.Hours()); !strings.Contains(manual, want) {
		t.Errorf("keys.md lacks the heading %q", want)
	}
}
