package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit/logkey"
)

// A script must not take a job that goes on, or that may exist, for one that failed: it would
// submit the file again.
func TestExitCodeOfAnOpenSubmissionIsNotThatOfAFailure(t *testing.T) {
	t.Parallel()
	const created = `{"id":"77","status":"CREATED"}`
	for _, tt := range []struct {
		name         string
		status       int
		answer, args string
		want         int
		says         string
	}{
		{"submitted", 200, created, "", exitDone, "77"},
		{"no end before --timeout", 200, created, "--wait --timeout 20ms", exitUnknown, "no end within 20ms; the job continues, see `receiver jobs show 77`"},
		{"no end before the deadline of the source", 200, created, "--wait", exitUnknown, "no end within 50ms; the job continues"},
		{"lost answer", 502, "", "--wait", exitUnknown, "the job may exist"},
		{"refused", 400, "", "--wait", exitFailed, "400"},
		{"a timeout of nothing", 200, created, "--timeout 1s", exitUsage, "needs --wait"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.answer)
			}))
			defer platform.Close()
			config := submitConfig(t, platform.URL)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var out, talk bytes.Buffer
			args := append(strings.Fields("--config "+config+" submit --object contact --file -"), strings.Fields(tt.args)...)
			code := run(ctx, args, strings.NewReader("email\na@example.com\n"), &out, &talk)
			if said := out.String() + talk.String(); code != tt.want || !strings.Contains(said, tt.says) {
				t.Errorf("receiver submit %s = exit %d, want %d and %q in\n%s", tt.args, code, tt.want, tt.says, said)
			}
		})
	}
}

// submitConfig writes a configuration with one source at a platform.
func submitConfig(t *testing.T, platform string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf(`sources:
  demo: {base_url: %q, element_token: e, user_secret: u, callback_base_url: "http://127.0.0.1:1", signature_keys: [{value: the-key-of-the-test}],
    watch: {expected: 10ms, retry: 10ms, cap: 10ms, deadline: 50ms}}
nats: {embedded: {folder: data, address: "127.0.0.1:0"}}
`, platform)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Ctrl-C ends each command that reads what a silent terminal or pipe gives.
func TestCtrlCEndsACommandWhoseInputIsSilent(t *testing.T) {
	t.Parallel()
	platform := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer platform.Close()
	config := submitConfig(t, platform.URL)
	dir := filepath.Dir(config)
	pipe, key := filepath.Join(dir, "pipe"), filepath.Join(dir, "key")
	if err := errors.Join(exec.Command("mkfifo", pipe).Run(), os.WriteFile(key, []byte("the-key-of-the-test"), 0o600)); err != nil {
		t.Fatal(err)
	}
	made, err := logkey.Generate("receiver")
	if err != nil {
		t.Fatal(err)
	}
	logKey := made.VerifierKey("receiver/receiver/JOBS")
	for _, line := range []string{
		"submit --object contact --file -", "submit --object contact --file - --no-check", "submit --object contact --file PIPE",
		"verify --source demo -", "verify --source demo PIPE", "sign --key-file KEY -", "sign --key-file KEY PIPE", "audit check --log-key " + logKey + " -",
	} {
		t.Run(line, func(t *testing.T) {
			line := strings.NewReplacer("PIPE", pipe, "KEY", key).Replace(line)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			in := &silent{asked: cancel, until: t.Context().Done()}
			if strings.HasSuffix(line, pipe) { // nobody writes into it
				cancel()
			}
			ended := make(chan int, 1)
			var out, talk bytes.Buffer
			go func() {
				ended <- run(ctx, append([]string{"--config", config}, strings.Fields(line)...), in, &out, &talk)
			}()
			select {
			case code := <-ended:
				if code == exitDone || ctx.Err() == nil {
					t.Errorf("receiver %s = exit %d, want that it reads its input, and a failure\n%s", line, code, &talk)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("receiver %s goes on after Ctrl-C", line)
			}
		})
	}
}

// silent is an input that gives nothing.
type silent struct {
	asked func()
	until <-chan struct{}
}

func (s *silent) Read([]byte) (int, error) {
	s.asked()
	<-s.until
	return 0, io.EOF
}
