package remote_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"receiver/internal/remote"
)

// A command about a job asks for that job, also if its id is a direction in a path.
func TestCommandsAskForTheirJob(t *testing.T) {
	t.Parallel()
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.EscapedPath() }))
	defer server.Close()
	r, err := remote.Context{URL: server.URL}.Receiver("test")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	// None of the answers is that of a receiver.
	for operation, ask := range map[string]func(){
		"":         func() { _, _ = r.Job(ctx, "crm", "..", 0) },
		"/events":  func() { _, _ = r.Events(ctx, "crm", "..") },
		"/errors":  func() { _, _ = r.RowErrors(ctx, "crm", "..", 1, false) },
		"/status":  func() { _, _ = r.Status(ctx, "crm", "..") },
		"/cancel":  func() { _, _ = r.Cancel(ctx, "crm", "..", "") },
		"/poll":    func() { _, _ = r.Poll(ctx, "crm", "..", "") },
		"/release": func() { _, _ = r.Release(ctx, "crm", "..", "") },
		"/replay":  func() { _, _ = r.Replay(ctx, "crm", "..", "finished", "") },
		"/result": func() {
			if rows, err := r.Result(ctx, "crm", "..", "contact", "text/csv"); err == nil {
				_ = rows.Close()
			}
		},
	} {
		if ask(); strings.ReplaceAll(asked, "%2E", ".") != "/v1/sources/crm/jobs/.."+operation {
			t.Errorf("%q asks for %s", operation, asked)
		}
	}
}
