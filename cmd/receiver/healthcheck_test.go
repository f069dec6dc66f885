//go:build unix

package main_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// healthcheck says that a receiver serves, whatever its listeners are, without a token.
func TestHealthcheckKnowsEveryListener(t *testing.T) {
	t.Parallel()
	sockets, err := os.MkdirTemp("", "health") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	tls := []string{"RECEIVER_%_TLS_CERT_FILE=cert.pem", "RECEIVER_%_TLS_KEY_FILE=cert-key.pem"}
	on := func(listener string, all ...string) []string {
		return strings.Split(strings.ReplaceAll(strings.Join(all, "\n"), "%", listener), "\n")
	}
	for _, row := range []struct {
		name string
		env  []string
	}{
		{"clear text", nil},
		{"all addresses, and a token", []string{"RECEIVER_PRIVATE_ADDRESS=0.0.0.0:PORT", "RECEIVER_PRIVATE_TOKEN=the-token-of-the-operators"}},
		{"TLS at both, and client certificates", append(append(on("PUBLIC", tls...), on("PRIVATE", tls...)...), "RECEIVER_PRIVATE_TLS_CLIENT_CA_FILE=cert.pem")},
		{"Unix sockets", []string{"RECEIVER_PUBLIC_ADDRESS=unix:" + sockets + "/public", "RECEIVER_PRIVATE_ADDRESS=unix:" + sockets + "/private"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir, private := configuredAt(t)
			writeCertificate(t, dir)
			env := environment()
			for _, v := range row.env {
				env = append(env, strings.ReplaceAll(v, "PORT", private[strings.LastIndexByte(private, ':')+1:]))
			}
			check := func(want int, text string, args ...string) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "receiver", append([]string{"healthcheck"}, args...)...)
				var out bytes.Buffer
				cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &out, &out
				_ = cmd.Run() // the code is looked at
				if got := cmd.ProcessState.ExitCode(); got != want || !strings.Contains(out.String(), text) {
					t.Errorf("receiver healthcheck %v = exit %d, want %d and %q\n%s", args, got, want, text, &out)
				}
			}
			check(1, "the public listener at")
			p, err := startProcess(dir, env, "receiver", "serve")
			if err != nil {
				t.Fatal(err)
			}
			defer p.kill()
			if _, err := p.wait(p.log, regexp.MustCompile(`"message":"listening"`)); err != nil {
				t.Fatal(err)
			}
			check(0, "ready")
			check(0, "it answers", "--live")
		})
	}
}

// A receiver that waits for its NATS server is alive and not ready; the reason is printed. Docker
// knows no other exit codes than 0 and 1.
func TestHealthcheckSaysWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "the-token-of-the-operators"} {
		dir := t.TempDir()
		p, err := newPorts()
		if err != nil {
			t.Fatal(err)
		}
		more := "nats: {mode: external, urls: [\"nats://127.0.0.1:" + p.nats + "\"]}\n"
		if err := writeConfig(dir, p, more); err != nil {
			t.Fatal(err)
		}
		env := environment()
		if token != "" {
			env = append(env, "RECEIVER_PRIVATE_TOKEN="+token)
		}
		serve, err := startProcess(dir, env, "receiver", "serve")
		if err != nil {
			t.Fatal(err)
		}
		defer serve.kill()
		if _, err := serve.wait(serve.log, regexp.MustCompile(`listening without NATS`)); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			flag, want string
			code       int
		}{
			{"--live", "it answers", 0},
			{"--live=false", map[bool]string{true: "127.0.0.1:" + p.nats, false: "/readyz requires a token"}[token == ""], map[bool]int{true: 1, false: 0}[token == ""]},
			{"--config=none.yaml", "none.yaml", 1},
		} {
			cmd := exec.CommandContext(t.Context(), "receiver", "healthcheck", row.flag)
			var out bytes.Buffer
			cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &out, &out
			_ = cmd.Run() // the code is looked at
			if got := cmd.ProcessState.ExitCode(); got != row.code || !strings.Contains(out.String(), row.want) {
				t.Errorf("token %q: receiver healthcheck %s = exit %d, want %d and %q\n%s", token, row.flag, got, row.code, row.want, &out)
			}
		}
	}
}

// writeCertificate writes cert.pem and cert-key.pem, for 127.0.0.1.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: s.Certificate().Raw}, "cert-key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
