//go:build proxies && linux

package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// postEncrypted sends a signed callback by TLS.
func (r *inFront) postEncrypted(t *testing.T, from string) {
	t.Helper()
	client := http.Client{Timeout: waitTimeout, Transport: &http.Transport{
		DialContext:     (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	body := callbackOf("sender-tls", "")
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://127.0.0.1:"+r.tls+"/callbacks/"+r.source(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Elements-Webhook-Signature", sign(signatureKey+r.source(), []byte(body)))
	q.Header.Set("X-Forwarded-For", "203.0.113.9")
	answer, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("by TLS = %s, want 200", answer.Status)
	}
}

// certificate writes a certificate for 127.0.0.1 and its key, apart and together.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, secret := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	write(t, filepath.Join(dir, "front.crt"), public)
	write(t, filepath.Join(dir, "front.key"), secret)
	write(t, filepath.Join(dir, "front.pem"), public+secret)
}
