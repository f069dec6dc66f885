package main_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"receiver/internal/acme"
	"receiver/internal/acme/acmetest"
)

// A receiver starts without its authority and says so; it orders its certificate there, and takes a
// callback with it; and it keeps it over a restart.
func TestServeWithACME(t *testing.T) {
	t.Parallel()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(p.public)
	if err != nil {
		t.Fatal(err)
	}
	const name = "hooks.example.com"
	authority := acmetest.Start(t, port)
	r := &replica{dir: t.TempDir()}
	if err := writeConfig(r.dir, p, "nats:\n  embedded:\n    address: 127.0.0.1:"+p.nats+"\n"); err != nil {
		t.Fatal(err)
	}
	r.write(t, "root.pem", string(authority.Trust))
	text := r.read(t)
	before, after, _ := bytes.Cut([]byte(text), []byte("public:\n"))
	r.write(t, "config.yaml", fmt.Sprintf("%spublic:\n  tls: {acme: {names: [%s], directory: %q, ca_file: root.pem, terms_agreed: true}}\n%s", before, name, authority.Directory, after))
	client := &http.Client{Timeout: waitTimeout, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: authority.Roots, ServerName: name},
	}}
	shown := func() (*x509.Certificate, error) {
		conn, err := tls.Dial("tcp", net.JoinHostPort(p.host, p.public), client.Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0], nil
	}
	metric := func(pattern string) {
		t.Helper()
		answer, err := http.Get("http://127.0.0.1:" + p.private + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || !regexp.MustCompile(pattern).Match(text) {
			t.Errorf("the metrics have no %s, %v:\n%s", pattern, err, text)
		}
	}

	authority.Down.Store(true)
	r.up(t)
	r.awaitLog(t, 0, `"message":"there is no TLS certificate yet; clients cannot connect until the receiver has one"`)
	r.awaitLog(t, 0, `"level":"error".*"message":"ordering a TLS certificate failed; the current one stays in use"`)
	if _, err := shown(); err == nil {
		t.Error("a certificate is shown that nobody can have")
	}
	metric(`(?m)^receiver_certificate_not_after_seconds\{listener="public"\} 0$`)
	metric(`(?m)^receiver_certificate_failures_total\{listener="public"\} 1$`)
	if _, told := r.command(t, "doctor"); !regexp.MustCompile(`the public listener has no certificate`).MatchString(told) {
		t.Errorf("doctor says:\n%s", told)
	}
	if code, err := r.process.end(syscall.SIGTERM); err != nil || code != 0 {
		t.Errorf("serve = exit %d, %v", code, err)
	}

	authority.Down.Store(false)
	if err := os.Remove(filepath.Join(acme.Folder(filepath.Join(r.dir, "receiver-acme"), authority.Directory), "failed.json")); err != nil {
		t.Fatal(err)
	}
	r.up(t)
	r.awaitLog(t, 0, `"message":"the receiver uses another TLS certificate"`)
	first, err := shown()
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"id":"1","status":"COMPLETED"}`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+net.JoinHostPort(p.host, p.public)+"/callbacks/demo", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Elements-Webhook-Signature", sign(signatureKey, body))
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("a callback is answered %s", answer.Status)
	}
	metric(fmt.Sprintf(`(?m)^receiver_certificate_not_after_seconds\{listener="public"\} %s`, regexp.QuoteMeta(strconv.FormatFloat(float64(first.NotAfter.Unix()), 'e', -1, 64)[:8])))
	if _, told := r.command(t, "doctor"); !regexp.MustCompile(`the certificate of the public listener ends in 89 days`).MatchString(told) {
		t.Errorf("doctor says:\n%s", told)
	}
	if code, err := r.process.end(syscall.SIGTERM); err != nil || code != 0 {
		t.Errorf("serve = exit %d, %v", code, err)
	}

	r.up(t)
	if kept, err := shown(); err != nil || !kept.Equal(first) {
		t.Errorf("after a restart is shown %v, %v", kept, err)
	}
	if n := authority.Orders.Load(); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
}
