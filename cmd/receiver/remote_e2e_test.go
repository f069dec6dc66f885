//go:build e2e

package main_test

import (
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A submission that is repeated over the death of the receiver makes one job.
func TestSubmitSurvivesTheReceiver(t *testing.T) {
	t.Parallel()
	f := newFar(t, "--faults", "slow=200ms")
	f.write("large.csv", "C_EmailAddress,C_FirstName\n"+strings.Repeat("a@example.com,A\n", 1<<20))
	far := startWith(t, f.elsewhere, "receiver", "--url", f.private, "--token-file", f.file(allScopes),
		"submit", "--object", "contact", "--file", f.file("large.csv"), "--key", "order-7", "--wait")
	f.awaitSubmission("order-7")
	if _, err := f.serve.end(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := far.wait(far.log, regexp.MustCompile(`trying again in`)); err != nil {
		t.Fatal(err)
	}
	f.start()
	// A submission whose process has died belongs to it for half a minute.
	select {
	case <-far.done:
	case <-time.After(longTimeout):
		t.Fatalf("submit goes on: %s", far.log)
	}
	if code := far.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("submit = %d, %s", code, far.log)
	}
	id := strings.TrimSpace(far.out.String())
	code, out, _ := f.asking(allScopes, "submit", "--object", "contact", "--file", f.file("large.csv"), "--key", "order-7")
	if code != 0 || strings.TrimSpace(out) != id {
		t.Errorf("a repeat with the same key = %d, %q, want job %s", code, out, id)
	}
	if _, out, _ := f.asking(allScopes, "jobs", "list", "-o", "json"); strings.Count(out, `"id":`) != 1 {
		t.Errorf("there is %s, want one job", out)
	}
}

// awaitSubmission waits until a submission with a key has begun.
func (f *far) awaitSubmission(key string) {
	f.t.Helper()
	sum := sha256.Sum256([]byte(key))
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.private+"/v1/sources/demo/submissions/"+base32.StdEncoding.EncodeToString(sum[:])[:26], nil)
	if err != nil {
		f.t.Fatal(err)
	}
	token, err := os.ReadFile(f.file(allScopes))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	for end := time.Now().Add(waitTimeout); time.Now().Before(end); {
		got, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = got.Body.Close()
			if got.StatusCode == http.StatusOK {
				return
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	f.t.Fatalf("no submission %s has begun", key)
}
