package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
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
	_ = os.Remove(path) // it may lead elsewhere
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
		{name: "endless", serves: "new.example", change: func() { _ = os.Remove(certFile); _ = os.Symlink("/dev/zero", certFile) }, wrong: "larger than"},
		{name: "too large", serves: "new.example", change: func() { put(t, certFile, bytes.Repeat([]byte("x"), 1<<20+1)) }},
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

// A file that is awaited is none at first, both halves of one moment, and may be broken.
func TestAwait(t *testing.T) {
	file := filepath.Join(t.TempDir(), "both.pem")
	cert, key := pair(t, "a.example")
	for _, row := range []struct {
		name, text, wrong string
		there             bool
	}{
		{name: "none"},
		{name: "garbage", text: "garbage", wrong: "does not work"},
		{name: "half", text: string(cert), wrong: "does not work"},
		{name: "whole", text: string(cert) + string(key), there: true},
	} {
		if row.text != "" {
			put(t, file, []byte(row.text))
		}
		r, err := certs.Await(file)
		if row.wrong == "" && err != nil || row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong)) {
			t.Errorf("%s: the error is %v, want %q", row.name, err, row.wrong)
		}
		if _, err := r.GetCertificate(nil); (err == nil) != row.there || !row.there && !errors.Is(err, certs.ErrNone) {
			t.Errorf("%s: serving ends with %v", row.name, err)
		}
		if (r.Certificate() != nil) != row.there {
			t.Errorf("%s: the certificate is %v", row.name, r.Certificate())
		}
		put(t, file, append(bytes.Clone(key), cert...))
		if _, err := r.Reload(); err != nil || r.Certificate() == nil {
			t.Errorf("%s: what was written since is not taken into use: %v", row.name, err)
		}
	}
}
