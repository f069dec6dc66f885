package web_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/logging"
	"receiver/internal/web"
)

// Half a handshake takes a place, and gives it up before all others; what answers is HTTP/1.1.
func TestABoundHoldsWithTLS(t *testing.T) {
	t.Parallel()
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.StartTLS()
	defer borrowed.Close()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := web.NewListener(inner, 1)
	srv := web.NewServer(http.NotFoundHandler(), web.Limits{ReadHeader: time.Minute, Read: time.Minute, Write: time.Minute, Idle: time.Minute}, logging.Std(zerolog.Nop(), ""))
	srv.TLSConfig = &tls.Config{Certificates: borrowed.TLS.Certificates, MinVersion: tls.VersionTLS13}
	ended := make(chan error, 1)
	go func() { ended <- ln.Serve(srv) }()
	defer func() { _ = srv.Close(); <-ended }()

	silent, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, _ = silent.Write([]byte{22, 3, 1, 2, 0, 1})            // a ClientHello begins
	for open := 0; open == 0; open, _, _ = ln.Connections() { //nolint:revive // it is accepted soon
	}
	client := borrowed.Client()
	client.Timeout = time.Minute
	client.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"h2", "http/1.1"}
	for range 3 { // the second and third find a place only if an idle connection is known as one
		fresh := &http.Client{Transport: client.Transport.(*http.Transport).Clone(), Timeout: time.Minute}
		res, err := fresh.Get("https://" + inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.ProtoMajor != 1 {
			t.Errorf("spoken is %s", res.Proto)
		}
	}
	if _, _, closed := ln.Connections(); closed < 3 {
		t.Errorf("%d connections were closed to make a place, want 3 at least", closed)
	}
}
