//go:build proxies && linux

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"receiver/internal/cluster"
	"receiver/internal/natstest"
)

// recipe is one of deploy/proxy that can run here.
type recipe struct {
	name, file string
	// change is what the test changes in the recipe, in pairs: where it listens and forwards
	// to, and its files. PLAIN, TLS, PUBLIC, PRIVATE and DIR are replaced in it.
	change []string
	// strip is the line that removes the prefix /hooks.
	strip string
	// command runs it, with FILE and DIR.
	command []string
	// encrypted says whether the test reaches it by TLS, too.
	encrypted bool
}

var fronts = []recipe{
	{
		name: "nginx", file: "nginx.conf", encrypted: true,
		change: []string{
			"listen 443 ssl;", "listen 127.0.0.1:TLS ssl; listen 127.0.0.1:PLAIN;",
			"/etc/nginx/receiver.crt", "DIR/front.crt", "/etc/nginx/receiver.key", "DIR/front.key",
			"/var/log/nginx/receiver.log", "DIR/access.log", "127.0.0.1:8080", "127.0.0.1:PUBLIC",
		},
		strip:   "rewrite ^/hooks",
		command: []string{"nginx", "-c", "FILE", "-p", "DIR", "-g", "daemon off; master_process off; pid DIR/nginx.pid; error_log stderr;"},
	},
	{
		name: "Caddy", file: "Caddyfile",
		change: []string{
			"hooks.example.com {", "http://127.0.0.1:PLAIN, http://hooks.example.com:PLAIN {", ":443 {", "http://:PLAIN {",
			"\tservers {", "\tadmin off\n\tservers {", "127.0.0.1:8080", "127.0.0.1:PUBLIC",
		},
		strip:   "uri strip_prefix /hooks",
		command: []string{"env", "XDG_DATA_HOME=DIR", "XDG_CONFIG_HOME=DIR", "caddy", "run", "--config", "FILE", "--adapter", "caddyfile"},
	},
	{
		name: "HAProxy", file: "haproxy.cfg", encrypted: true,
		change: []string{
			"bind :443 ssl crt /etc/haproxy/receiver.pem", "bind 127.0.0.1:TLS ssl crt DIR/front.pem\n    bind 127.0.0.1:PLAIN",
			"127.0.0.1:8080", "127.0.0.1:PUBLIC", "port 8081", "port PRIVATE",
		},
		strip:   "http-request replace-path /hooks",
		command: []string{"haproxy", "-f", "FILE", "-db"},
	},
}

// inFront is a running recipe with a receiver behind it.
type inFront struct {
	recipe
	dir, receiver, plain, tls string
}

// The recipes of docs/proxies.md are run as they are, but for addresses and files. The sender that
// is recorded is the real one, whatever the client claims. Bodies, paths and large heads arrive as
// they were sent. Nothing is accepted through a proxy that the receiver refuses, but for what the
// page lists.
func TestProxiesInFront(t *testing.T) {
	dir, p := behindProxies(t)
	direct := attacked(t, dir, p.public)
	for _, r := range direct {
		if r.verdict == "fail" {
			t.Fatalf("without a proxy: %s", r.seen)
		}
	}
	for _, f := range fronts {
		t.Run(f.name, func(t *testing.T) {
			r := startFront(t, f, dir, p, false)
			t.Run("sender", r.sender)
			t.Run("path", r.path)
			t.Run("size", r.size)
			t.Run("prefix", func(t *testing.T) { startFront(t, f, dir, p, true).prefix(t) })
			t.Run("attacks", func(t *testing.T) { r.attacks(t, direct) })
		})
	}
}

// behindProxies starts a receiver that trusts proxies at 127.0.0.1.
func behindProxies(t *testing.T) (string, ports) {
	t.Helper()
	dir := t.TempDir()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	config := "sources:\n"
	for _, name := range []string{"crm", "erp", "nginx", "caddy", "haproxy"} {
		config += fmt.Sprintf("  %s:\n    base_url: http://127.0.0.1:1/elements/api-v2\n    signature_keys: [{name: k, value: 'file:%s.key'}]\n", name, name)
		write(t, filepath.Join(dir, name+".key"), signatureKey+name)
	}
	write(t, filepath.Join(dir, "config.yaml"), config+
		"public: {address: '127.0.0.1:"+p.public+"', trusted_proxies: [127.0.0.1], prefix: /hooks}\ntoken_secret: a-token-secret-of-the-tests\nprivate: {address: '127.0.0.1:"+p.private+"'}\n"+
		"nats: {embedded: {address: '127.0.0.1:"+p.nats+"'}}\nlimits: {read_header_timeout: 2s, read_timeout: 4s}\n")
	start(t, dir, "serve").listening(t)
	return dir, p
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startFront runs one and waits until it forwards.
func startFront(t *testing.T, f recipe, receiver string, p ports, strip bool) *inFront {
	t.Helper()
	if _, err := exec.LookPath(strings.ToLower(f.name)); err != nil {
		t.Fatalf("%v: bash .ci/run proxies says which package has it", err)
	}
	r := &inFront{recipe: f, dir: t.TempDir(), receiver: receiver}
	for _, port := range []*string{&r.plain, &r.tls} {
		n, err := cluster.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		*port = strconv.Itoa(n)
	}
	certificate(t, r.dir)
	text, err := os.ReadFile(filepath.Join("../../deploy/proxy", f.file))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.dir, f.file)
	names := strings.NewReplacer("DIR", r.dir, "FILE", file, "PLAIN", r.plain, "TLS", r.tls, "PUBLIC", p.public, "PRIVATE", p.private)
	change := slices.Clone(f.change)
	if strip {
		change = append(change, "#"+f.strip, strings.Replace(f.strip, "/hooks", "/elsewhere", 1))
	}
	for pair := range slices.Chunk(change, 2) {
		if n := bytes.Count(text, []byte(pair[0])); n != 1 {
			t.Fatalf("deploy/proxy/%s has %q %d times, want once: the test runs the recipe with another value", f.file, pair[0], n)
		}
		text = bytes.Replace(text, []byte(pair[0]), []byte(names.Replace(pair[1])), 1)
	}
	write(t, file, string(text))
	var command []string
	for _, word := range f.command {
		command = append(command, names.Replace(word))
	}
	process := startWith(t, r.dir, command[0], command[1:]...)
	natstest.Eventually(t, f.name+" to forward", func() bool {
		select {
		case <-process.done:
			t.Fatalf("%s ended:\n%s", f.name, process.log)
		default:
		}
		conn, err := net.Dial("tcp", "127.0.0.1:"+r.plain)
		if err != nil {
			return false
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close\r\n\r\n")
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return strings.Contains(line, " 200 ")
	})
	return r
}

// source is the recipe's own, so that its records are known.
func (r *inFront) source() string { return strings.ToLower(r.name) }

// post sends a callback from an address of loopback and returns the status. A 200 must be the
// receiver's.
func (r *inFront) post(t *testing.T, from, path string, header []string, body string, signed bool) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(ctx, "tcp", "127.0.0.1:"+r.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	key := "another key"
	if signed {
		key = signatureKey + r.source()
	}
	head := "POST " + path + " HTTP/1.1\r\nElements-Webhook-Signature: " + sign(key, []byte(body)) + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	if !slices.Contains(header, "Host: other.example.com") {
		header = append([]string{"Host: hooks.example.com"}, header...)
	}
	for _, line := range header {
		head += line + "\r\n"
	}
	go func() { _, _ = conn.Write([]byte(head + "\r\n" + body)) }()
	_ = conn.SetReadDeadline(time.Now().Add(waitTimeout))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("POST %s %v: %v", path, header, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("POST %s %v: %v", path, header, err)
	}
	if answer.StatusCode == http.StatusOK && !strings.Contains(string(text), `"outcome":"`) {
		t.Errorf("POST %s %v = 200 %s, which is not the receiver's", path, header, text)
	}
	return answer.StatusCode
}

// callbackOf is the body of a callback.
func callbackOf(job, more string) string {
	return `{"id":"` + job + `","status":"COMPLETED","objectName":"contact","recordsCount":1,"recordsFailedCount":0,"more":"` + more + `"}`
}

// sender claims to be others, in every way, from 127.0.0.2.
func (r *inFront) sender(t *testing.T) {
	claims := [][]string{
		nil,
		{"X-Forwarded-For: 203.0.113.9"},
		{"X-Forwarded-For: 203.0.113.9, 127.0.0.1"},
		{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 127.0.0.1"},
		{"x-forwarded-for: 203.0.113.9:80"},
		{"X-Forwarded-For: 203.0.113.9", "Connection: close, X-Forwarded-For"},
		{"X-Forwarded-For: unknown"},
		{"X-Forwarded-For:"},
		{"X_Forwarded_For: 203.0.113.9"},
		{"X-Real-IP: 203.0.113.9", "Forwarded: for=203.0.113.9", "True-Client-IP: 203.0.113.9", "X-Client-IP: 203.0.113.9"},
	}
	for n, claim := range claims {
		body := callbackOf("sender-"+strconv.Itoa(n), "")
		for _, way := range []struct {
			signed bool
			code   int
		}{{true, 200}, {false, 401}} {
			if code := r.post(t, "127.0.0.2", "/callbacks/"+r.source(), claim, body, way.signed); code != way.code {
				t.Errorf("%q, signed %v = %d, want %d", claim, way.signed, code, way.code)
			}
		}
	}
	want := 2 * len(claims)
	if r.encrypted {
		r.postEncrypted(t, "127.0.0.2")
		want++
	}
	var records []record
	natstest.Eventually(t, "all to be recorded", func() bool {
		records = r.records(t)
		return len(records) >= want
	})
	for _, record := range records {
		if record.Remote != "127.0.0.2" {
			t.Errorf("%s %s: the recorded sender is %q, want 127.0.0.2", record.ID, record.Job, record.Remote)
		}
	}
	if len(records) != want {
		t.Errorf("%d records, want %d", len(records), want)
	}
}

type record struct{ ID, Job, Remote string }

// records are those of the recipe's own source, once the refused ones are stored, too.
func (r *inFront) records(t *testing.T) (all []record) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "receiver", "audit", "list", "--json", "--source", r.source())
	cmd.Dir, cmd.Env = r.receiver, environment()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out) {
		var one record
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

// prefix: the recipe removes it, in front of callbacks only.
func (r *inFront) prefix(t *testing.T) {
	for path, code := range map[string]int{"/elsewhere/callbacks/": 200, "/callbacks/": 200, "/elsewhere/elsewhere/callbacks/": 404} {
		if got := r.post(t, "127.0.0.1", path+r.source(), nil, callbackOf("prefix", ""), true); got != code {
			t.Errorf("POST %s%s = %d, want %d", path, r.source(), got, code)
		}
	}
}

// path: a prefix is kept for the receiver; double slashes, escapes and a query are
// passed on; and the log has no token.
func (r *inFront) path(t *testing.T) {
	for n, tt := range []struct {
		path string
		code int
	}{
		{"/callbacks/SOURCE", 200},
		{"/hooks/callbacks/SOURCE", 200},
		{"/elsewhere/callbacks/SOURCE", 404},
		{"/callbacks/SOURCE?a=%2F&b", 200},
		{"//callbacks/SOURCE", 404},
		{"/callbacks//SOURCE", 404},
		{"/callbacks/./SOURCE", 401}, // a source with a dot for its name
		{"/x/../callbacks/SOURCE", 404},
		{"/%63allbacks/SOURCE", 404},
		{"/callbacks%2FSOURCE", 404},
		{"/hooks/hooks/callbacks/SOURCE", 404},
		{"/callbacks/SOURCE/a-token-of-a-job", 401},
	} {
		path := strings.ReplaceAll(tt.path, "SOURCE", r.source())
		if code := r.post(t, "127.0.0.1", path, nil, callbackOf("path-"+strconv.Itoa(n), ""), true); code != tt.code {
			t.Errorf("POST %s = %d, want %d", path, code, tt.code)
		}
	}
	// Another name is forwarded, or refused; not answered by 200 here.
	if code := r.post(t, "127.0.0.1", "/callbacks/"+r.source(), []string{"Host: other.example.com"}, callbackOf("path-0", ""), true); code != 200 && code != 421 {
		t.Errorf("another name = %d, want 200 or 421", code)
	}
	if r.name != "nginx" {
		return
	}
	var logged []byte
	natstest.Eventually(t, "the access log to have the token's request", func() bool {
		logged, _ = os.ReadFile(filepath.Join(r.dir, "access.log"))
		return bytes.Contains(logged, []byte("/callbacks/nginx/- 401"))
	})
	if bytes.Contains(logged, []byte("a-token-of-a-job")) {
		t.Errorf("the access log has a token:\n%s", logged)
	}
}

// size: the limits of the proxy are above those of the receiver, which refuses and records.
func (r *inFront) size(t *testing.T) {
	const limit = 8 << 20
	empty := len(callbackOf("size-0", ""))
	for _, tt := range []struct {
		name         string
		header, body int
		code         int
	}{
		{"the largest body", 0, limit, 200},
		{"a larger one", 0, limit + 1, 413},
		{"large headers", 15 << 10, 1000, 200},
		{"larger ones", 24 << 10, 1000, 431},
	} {
		header := []string{"X-Large: " + strings.Repeat("a", tt.header)}
		if code := r.post(t, "127.0.0.1", "/callbacks/"+r.source(), header, callbackOf("size-0", strings.Repeat("b", tt.body-empty)), true); code != tt.code {
			t.Errorf("%s = %d, want %d", tt.name, code, tt.code)
		}
	}
}
