package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// A file may take an hour. A receiver that starts meanwhile gets the folder, and the job is
// recorded all the same.
func TestUploadDoesNotLockTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "data")
	var started error
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		server, err := natsserver.Start(natsserver.Embedded{Folder: folder})
		if started = err; err == nil {
			server.Stop()
		}
		_, _ = io.WriteString(w, `{"id":"77","status":"CREATED"}`)
	}))
	defer platform.Close()
	config := fmt.Sprintf(`sources:
  demo: {base_url: %q, element_token: e, user_secret: u, callback_base_url: "http://127.0.0.1:1", signature_keys: [{value: the-key-of-the-test}]}
nats: {embedded: {folder: data, address: "127.0.0.1:0"}}
`, platform.URL)
	for name, text := range map[string]string{"config.yaml": config, "rows.csv": "email\na@example.com\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, talk bytes.Buffer
	a := &app{out: &out, talk: &talk, config: filepath.Join(dir, "config.yaml")}
	if err := a.submit(t.Context(), submitFlags{object: "contact", file: filepath.Join(dir, "rows.csv"), unchecked: true}); err != nil {
		t.Fatalf("submit = %v\n%s", err, talk.String())
	}
	if started != nil {
		t.Errorf("a receiver that started while the file was sent: %v", started)
	}
	server, err := natsserver.Start(natsserver.Embedded{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	bus, err := publish.Open(t.Context(), server, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(t.Context())
	if there, err := bus.Has(t.Context(), "demo", "77", job.Submitted); !there || err != nil {
		t.Errorf("Has = %v, %v, want the submitted event", there, err)
	}
}
