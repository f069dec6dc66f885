//go:build e2e

package main_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"receiver/internal/simulator"
)

// TestReliabilityClockDayAhead sets right a clock that is a day ahead: across a stop, a kill, and
// under a running receiver with an embedded store. Jobs that do not call back are polled by the
// schedule all the same.
func TestReliabilityClockDayAhead(t *testing.T) {
	const day = 24 * time.Hour
	b := buildWithClocks(t)
	for _, tt := range []struct {
		name string
		end  syscall.Signal // of the receiver, between the clocks; 0 for none
	}{{"stopped", syscall.SIGTERM}, {"killed", syscall.SIGKILL}, {"running", 0}} {
		t.Run(tt.name, func(t *testing.T) {
			platform := simulator.New(simulator.Options{
				SignatureKey: signatureKey, Element: "the-element-token-of-the-tests", User: "the-user-secret-of-the-tests",
				JobDuration: 6 * time.Second, Faults: simulator.Faults{Callback: simulator.Callback{Mode: "never"}},
			})
			server := httptest.NewServer(platform)
			t.Cleanup(server.Close)
			t.Cleanup(func() { _ = platform.Close() })
			dir, clock := clockFolder(t, server.URL+simulator.Base), newWallClock(t)
			run := func(args ...string) *process {
				on := clock.on(b.receiver)
				return startWith(t, dir, on[0], append(on[1:], args...)...)
			}
			clock.set(day)
			p := run("serve")
			p.listening(t)
			submitted := run("submit", "--object", "contact", "--file", "rows.csv")
			if code, err := submitted.end(0); code != 0 || err != nil {
				t.Fatalf("submit = %d, %v:\n%s", code, err, submitted.log.String())
			}
			id := strings.TrimSpace(submitted.out.String())
			running := `"job":"` + id + `","status":"RUNNING"`
			// The second question is written down and waited for when the clock is set.
			eventuallyShown(t, run, id, `"looks":1`, running)
			if tt.end != 0 {
				if _, err := p.end(tt.end); err != nil {
					t.Fatal(err)
				}
			}
			clock.set(0)
			began := time.Now()
			if tt.end != 0 {
				run("serve").listening(t)
			}
			eventuallyShown(t, run, id, `"state":"finished"`)
			t.Logf("finished %.1f s after the clock was set", time.Since(began).Seconds())
		})
	}
}

// clockFolder is that of a receiver with an embedded store, which asks soon after jobs.
func clockFolder(t *testing.T, api string) string {
	t.Helper()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`sources:
  demo:
    base_url: %s
    hub: marketing
    element_token: the-element-token-of-the-tests
    user_secret: the-user-secret-of-the-tests
    signature_keys: [{name: first, value: %s}]
    callback_base_url: http://127.0.0.1:%s
    watch: {expected: 1s, retry: 3s, cap: 3s}
public: {address: "127.0.0.1:%s"}
private: {address: "127.0.0.1:%s"}
nats: {embedded: {folder: data, address: "127.0.0.1:%s"}}
`, api, signatureKey, p.public, p.public, p.private, p.nats)
	for name, text := range map[string]string{"config.yaml": config, "rows.csv": "email\na@example.com\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// eventuallyShown waits until `jobs show` says one of these of a job.
func eventuallyShown(t *testing.T, run func(...string) *process, id string, any ...string) {
	t.Helper()
	var shown string
	for late := time.Now().Add(waitTimeout); time.Now().Before(late); {
		p := run("-o", "json", "jobs", "show", id)
		if _, err := p.end(0); err != nil {
			t.Fatal(err)
		}
		shown = strings.ReplaceAll(p.out.String(), " ", "")
		for _, want := range any {
			if strings.Contains(shown, want) {
				return
			}
		}
	}
	t.Fatalf("waited for %q in vain: %s", any, shown)
}
