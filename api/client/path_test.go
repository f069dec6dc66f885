package client_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"receiver/api"
	"receiver/api/client"
)

// Every id reaches the operation that it was given to, as it is.
func TestIDsInPaths(t *testing.T) {
	t.Parallel()
	var path string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { path = r.URL.EscapedPath() }))
	defer server.Close()
	c, err := client.Open(client.Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{".", "..", "...", "7", "a.b", "/", "../x", "%2e%2e", "%", "a b", "ä"} {
		named, edit := client.PathID(id)
		got, err := c.GetJobStatus(t.Context(), "crm", named, edit)
		if err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		_ = got.Body.Close()
		part, _ := strings.CutPrefix(path, "/v1/sources/crm/jobs/")
		part, ok := strings.CutSuffix(part, "/status")
		if there, err := url.PathUnescape(part); err != nil || !ok || there != id {
			t.Errorf("%q: the server is asked for %s", id, path)
		}
		if got, err = c.GetJob(t.Context(), "crm", named, &api.GetJobParams{}, edit); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		_ = got.Body.Close()
		if there, err := url.PathUnescape(strings.TrimPrefix(path, "/v1/sources/crm/jobs/")); err != nil || there != id {
			t.Errorf("%q: the server is asked for %s", id, path)
		}
	}
}
