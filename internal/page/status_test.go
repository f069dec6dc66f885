package page_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/condition"
)

// The banner says how the receiver is in a colour and a word; title and icon follow. A state that
// is not known is an error.
func TestBanner(t *testing.T) {
	t.Parallel()
	wrong := condition.Condition{Name: "ReceiverRetriesLeft", Level: condition.Error, Text: "The platform \u202erepeats: source <crm>.", Since: time.Date(2026, 12, 1, 1, 2, 3, 0, time.UTC)}
	less := condition.Condition{Name: "ReceiverDiskSpace", Level: condition.Warning, Text: "Less than 1 GiB is free: 12 MiB."}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   []string
		not    string
	}{
		"well": {give(api.ReceiverStatus{Level: condition.OK, Text: "Receiving. Last authentic callback 12 s ago (crm)."}),
			[]string{"<title>✓ Overview", `id="icon" href="/assets/icon-ok.svg"`, "<strong>OK</strong> <span>Receiving.", `class="state ok"`}, "/runbooks/"},
		"an error and a warning": {give(api.ReceiverStatus{Level: condition.Error, Text: wrong.Text, Conditions: []condition.Condition{wrong, less}}),
			[]string{
				"<title>✗ Overview", "icon-error.svg", "<strong>Error</strong>", `<a href="/runbooks/ReceiverRetriesLeft">The platform \u202erepeats: source &lt;crm&gt;.</a>`, "2026-12-01 01:02:03 UTC",
				"1 other condition", `<strong>Warning</strong> <a href="/runbooks/ReceiverDiskSpace">`,
			}, "icon-ok"},
		"a warning": {give(api.ReceiverStatus{Level: condition.Warning, Text: less.Text, Conditions: []condition.Condition{less}}),
			[]string{"<title>! Overview", "icon-warning.svg", "<strong>Warning</strong>"}, "other condition"},
		"not known": {func(w http.ResponseWriter, _ *http.Request) { problem(w, api.Unavailable.Problem("no NATS")) },
			[]string{"<title>✗ Overview", "icon-error.svg", "The state of the receiver is not known: ", "no NATS"}, "icon-ok"},
	} {
		w := ask(t, newPage(operations{"GET /v1/status": tt.answer}), http.MethodGet, "/", "rcv_read", nil)
		body := w.Body.String()
		for _, want := range tt.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in %s", name, want, body)
			}
		}
		if strings.Contains(body, tt.not) {
			t.Errorf("%s: %q in %s", name, tt.not, body)
		}
	}
	if w := ask(t, newPage(nil), http.MethodGet, "/signin", "", nil); !strings.Contains(w.Body.String(), "icon-none.svg") || strings.Contains(w.Body.String(), "data-level") {
		t.Errorf("without a token: %s", w.Body)
	}
}

func TestRunbooksAreShown(t *testing.T) {
	t.Parallel()
	p := newPage(nil)
	body := ask(t, p, http.MethodGet, "/runbooks/ReceiverUnsealedGrowing", "rcv_audit", nil).Body.String()
	for _, want := range []string{"<h1>ReceiverUnsealedGrowing</h1>", "<dt>Meaning</dt><dd>records wait", `<a href="/runbooks/ReceiverLogFork">ReceiverLogFork</a>`, "<dt>Over</dt>"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if strings.Contains(body, "](") || strings.Contains(body, "`") {
		t.Errorf("Markdown is left: %s", body)
	}
	if w := ask(t, p, http.MethodGet, "/runbooks/None", "rcv_audit", nil); w.Code != http.StatusNotFound {
		t.Errorf("GET /runbooks/None = %d", w.Code)
	}
}
