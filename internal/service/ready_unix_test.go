//go:build unix

package service_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/cluster"
	"receiver/internal/config"
	"receiver/internal/demo"
	"receiver/internal/natstest"
	"receiver/internal/service"
)

// installed returns the configuration of a receiver whose private listener is at a known address.
func installed(t *testing.T, env ...string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	if err := demo.Write(dir, demo.Any); err != nil {
		t.Fatal(err)
	}
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := service.ReadConfig(filepath.Join(dir, "config.yaml"), append(env,
		"RECEIVER_PUBLIC_ADDRESS=127.0.0.1:0", fmt.Sprintf("RECEIVER_PRIVATE_ADDRESS=127.0.0.1:%d", port),
	), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// readiness is what /readyz answers; 0 is no answer.
func readiness(ctx context.Context, cfg *config.Config) (code int, says string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://"+cfg.Private.Address+"/readyz", nil)
	r.RequestURI = ""
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

// closed waits until /readyz says that the public listener is closed, and not that all is well.
func closed(t *testing.T, cfg *config.Config) {
	t.Helper()
	code, says := 0, ""
	natstest.Eventually(t, "/readyz to answer something else than 200", func() bool {
		code, says = readiness(t.Context(), cfg)
		return code != 0 && code != http.StatusOK
	})
	if code != http.StatusServiceUnavailable || !strings.Contains(says, "the public listener is closed") {
		t.Errorf("/readyz = %d %s, want 503 and that the public listener is closed", code, says)
	}
}

// A load balancer that goes by /readyz sends no callback to a closed port.
func TestReadyOnlyWhileThePublicListenerIsOpen(t *testing.T) {
	t.Parallel()
	cfg := installed(t)
	pipe := filepath.Join(t.TempDir(), "cert.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipes: %v", err)
	}
	cfg.Public.TLS.CertFile, cfg.Public.TLS.KeyFile = config.Path(pipe), "none.pem" // opening the public listener waits for the certificate
	started := make(chan error, 1)
	go func() {
		_, err := service.Start(t.Context(), cfg, zerolog.Nop())
		started <- err
	}()
	closed(t, cfg)
	if err := os.WriteFile(pipe, []byte("no certificate"), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err == nil {
		t.Error("Start = nil without a certificate, want an error")
	}
}

// While a receiver that stops still answers callbacks, it is not sent any more.
func TestAStoppingReceiverIsNotReady(t *testing.T) {
	t.Parallel()
	cfg := installed(t)
	in, err := service.Start(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if code, says := readiness(t.Context(), cfg); code != http.StatusOK {
		t.Errorf("/readyz of a started receiver = %d %s, want 200", code, says)
	}
	half, err := net.Dial("tcp", strings.TrimPrefix(in.PublicURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if _, err := io.WriteString(half, "POST /callbacks/demo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := half.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := half.Read(make([]byte, 1)); err != nil { // it is being served
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- in.Stop() }()
	closed(t, cfg)
	if _, err := io.WriteString(half, "0123456789"); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
