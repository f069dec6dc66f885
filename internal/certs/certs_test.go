package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/certs"
)

// pair returns a certificate and its key in PEM.
func pair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

func put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	oldCert, oldKey := pair(t, "old.example")
	newCert, newKey := pair(t, "new.example")
	put(t, certFile, oldCert)
	put(t, keyFile, oldKey)
	r, err := certs.Load(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, serves string
		change       func()
		changed      bool
		wrong        string
	}{
		{name: "nothing changed", serves: "old.example", change: func() {}},
		{name: "the certificate first, its key to come", serves: "old.example", change: func() { put(t, certFile, newCert) }, wrong: "does not work with the key"},
		{name: "still half done: said once", serves: "old.example", change: func() {}},
		{name: "both", serves: "new.example", change: func() { put(t, keyFile, newKey) }, changed: true},
		{name: "written again", serves: "new.example", change: func() { put(t, keyFile, newKey) }},
		{name: "removed", serves: "new.example", change: func() { _ = os.Remove(certFile) }, wrong: "tls.crt"},
		{name: "garbage", serves: "new.example", change: func() { put(t, certFile, []byte("not a certificate")) }, wrong: "does not work"},
		{name: "endless", serves: "new.example", change: func() { put(t, certFile, bytes.Repeat([]byte("x"), 2<<20)) }, wrong: "larger than"},
		{name: "put back", serves: "new.example", change: func() { put(t, certFile, newCert) }},
		{name: "the old pair again", serves: "old.example", change: func() { put(t, certFile, oldCert); put(t, keyFile, oldKey) }, changed: true},
	} {
		step.change()
		changed, err := r.Reload()
		if step.wrong == "" && err != nil || step.wrong != "" && (err == nil || !strings.Contains(err.Error(), step.wrong)) {
			t.Errorf("%s: the error is %v, want %q", step.name, err, step.wrong)
		}
		if changed != step.changed {
			t.Errorf("%s: changed is %v", step.name, changed)
		}
		served, err := r.GetCertificate(nil)
		if err != nil || served.Leaf.Subject.CommonName != step.serves || r.Certificate() != served {
			t.Errorf("%s: serves %v, %v; want %s", step.name, served.Leaf.Subject.CommonName, err, step.serves)
		}
	}
}

func TestLoadRefusesWhatItCannotServe(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, "a.example")
	_, other := pair(t, "b.example")
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	put(t, certFile, cert)
	put(t, keyFile, other)
	for _, files := range [][2]string{{certFile, keyFile}, {keyFile, keyFile}, {filepath.Join(dir, "none"), keyFile}, {dir, keyFile}} {
		r, err := certs.Load(files[0], files[1])
		if err == nil || r != nil {
			t.Errorf("%v is taken", files)
		} else if strings.Contains(err.Error(), string(key)) || strings.Contains(err.Error(), "PRIVATE KEY-----\n") {
			t.Errorf("the error shows a key: %v", err)
		}
	}
}
