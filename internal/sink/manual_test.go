package sink_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/sink"
)

// serveManual runs the endpoint of docs/sinks.md on a free port.
const serveManual = `import endpoint, http.server
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), endpoint.Endpoint)
print(s.server_address[1], flush=True)
s.serve_forever()
`

// TestEndpointOfTheManual: the endpoint in Python of docs/sinks.md takes events once, and refuses
// forgeries and old requests.
func TestEndpointOfTheManual(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/sinks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(page), "```python\n")
	code, _, found := strings.Cut(code, "```")
	if !found {
		t.Fatal("docs/sinks.md has no endpoint in Python")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"endpoint.py": code, "serve.py": serveManual, "orders.key": "whsec_" + base64.StdEncoding.EncodeToString(secret) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "python3", "serve.py")
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("running python3: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context has ended it
	said := bufio.NewScanner(out)
	said.Scan()
	url := "http://127.0.0.1:" + said.Text()

	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), newEndpoint(t, nil))
	r.sink.URL = url
	r.run(r.sinks(r.store))
	r.publish(natstest.Called(job.Finished, "7", "COMPLETED"))
	said.Scan()
	if got, want := said.Text(), "com.sap.openconnectors.bulk.job.finished demo 7 succeeded"; got != want {
		t.Errorf("the endpoint prints %q, want %q", got, want)
	}
	for name, row := range map[string]struct {
		key    []byte
		at     time.Time
		body   string
		status int
	}{
		"an event":        {secret, time.Now(), `{"type": "x", "source": "demo"}`, 204},
		"another key":     {older, time.Now(), `{}`, 401},
		"an old request":  {secret, time.Now().Add(-time.Hour), `{}`, 401},
		"one of tomorrow": {secret, time.Now().Add(time.Hour), `{}`, 401},
	} {
		if got := post(t.Context(), t, url, sink.Sign([][]byte{row.key}, "demo.8.finished", row.at, []byte(row.body)), row.body); got != row.status {
			t.Errorf("%s is answered %d, want %d", name, got, row.status)
		}
	}
	if got := post(t.Context(), t, url, http.Header{}, "{}"); got != 401 {
		t.Errorf("a request without a signature is answered %d, want 401", got)
	}
}

func post(ctx context.Context, t *testing.T, url string, h http.Header, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
