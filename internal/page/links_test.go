package page_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/api"
)

// Every view links to a job by the address that comes back to it, also one of dots or of a slash.
func TestEveryViewLinksToTheJob(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"7", "a/b", "..", ".", "/"} {
		want := map[bool]string{true: "/jobs/crm/-?id=" + url.QueryEscape(id), false: "/jobs/crm/" + url.PathEscape(id)}[strings.Trim(id, ".") == "" || id == "/"]
		came := api.Callback{ID: "JOBS/5", Stream: "JOBS", Sequence: 5, Source: "crm", Job: id, Verdict: "accepted", Stored: time.Now()}
		details, err := json.Marshal(map[string]string{"source": "crm", "job": id})
		if err != nil {
			t.Fatal(err)
		}
		did := api.Callback{ID: "ACTIONS/6", Stream: "ACTIONS", Sequence: 6, Verdict: "action", What: "cancel", Details: details, Stored: time.Now()}
		p := newPage(operations{
			"GET /v1/callbacks":        give(api.CallbackPage{Callbacks: []api.Callback{came, did}}),
			"GET /v1/callbacks/JOBS/5": give(api.CallbackDetail{Entry: came}),
			"GET /v1/sinks":            give(api.Sinks{Sinks: []api.Sink{{Name: "orders", Retrying: 1, RetryingJobs: []api.SinkDelivery{{Source: "crm", Job: id, Sequence: 5}}}}}),
			"GET /v1/edge":             give(api.Edge{}),
		})
		for _, view := range []string{"/callbacks", "/callbacks/JOBS/5", "/actions", "/forwarding/orders"} {
			if body := ask(t, p, http.MethodGet, view, "rcv_all", nil).Body.String(); !strings.Contains(body, `href="`+want+`"`) {
				t.Errorf("%s has no link %s to the job %q", view, want, id)
			}
		}
	}
	files, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "/jobs/{{segment") {
			t.Errorf("%s makes the address of a job by itself; the function job does (%v)", file, err)
		}
	}
}
