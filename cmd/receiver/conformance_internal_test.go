package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Wrong use is said before anything is sent; a receiver that accepts everything fails.
func TestConformanceExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, bad, page := filepath.Join(dir, "a.key"), filepath.Join(dir, "bad.json"), filepath.Join(dir, "report.html")
	for name, text := range map[string]string{key: "the-key-of-this-test", bad: "{}"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"", exitUsage, "--url is required"},
		{"--url " + s.URL, exitUsage, "--key-file is required"},
		{"--url " + s.URL + " --key-file " + key + "x", exitUsage, "a.keyx"},
		{"--url http://192.0.2.1/ --key-file " + key, exitUsage, "not a loopback address"},
		{"--url " + s.URL + " --key-file " + key + " --scheme md5", exitUsage, `unknown --scheme "md5"`},
		{"--url " + s.URL + " --key-file " + key + " --scheme hex", exitUsage, "needs --header"},
		{"--url " + s.URL + " --key-file " + key + " --header a:b", exitUsage, "needs --header"},
		{"--url " + s.URL + " --key-file " + key + " --only x", exitUsage, "unknown class"},
		{"--url " + s.URL + " --key-file " + key + " --idle 0", exitUsage, "--idle 1 to 10000"},
		{"--url " + s.URL + " --key-file " + key + " --other-url " + s.URL, exitUsage, "must be given together"},
		{"--url " + s.URL + " --key-file " + key + " --resume a --restart-command b", exitUsage, "give only one of"},
		{"--url " + s.URL + " --key-file " + key + " --resume " + bad, exitUsage, "not a file of receiver conformance"},
		{"--url http://127.0.0.1:1/ --key-file " + key, exitFailed, "check that the receiver runs"},
		{"--url " + s.URL + " --key-file " + key + " --only tenants,stripping --html " + page, exitFailed, ""},
		{"--url " + s.URL + " --key-file " + key + " --only tenants --json", exitDone, ""},
	} {
		var out, talk bytes.Buffer
		code := run(t.Context(), append([]string{"conformance"}, strings.Fields(tt.args)...), strings.NewReader(""), &out, &talk)
		if code != tt.code || !strings.Contains(talk.String(), tt.says) {
			t.Errorf("conformance %s = exit %d and %q, want %d and %q", tt.args, code, &talk, tt.code, tt.says)
		}
	}
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("no header")) {
		t.Errorf("the page = %.100q, %v", text, err)
	}
}
