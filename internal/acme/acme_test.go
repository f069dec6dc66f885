package acme_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"receiver/internal/acme"
	"receiver/internal/acme/acmetest"
)

// seed stores a certificate, as an earlier process did, of which so much of its lifetime is over.
func (r *rig) seed(gone time.Duration) *x509.Certificate {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	from := time.Now().Add(-gone)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: from, NotAfter: from.Add(life),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		r.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	r.lay("certificate.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Roots.AddCert(leaf)
	return leaf
}

// lay puts a file where the keeper has its own.
func (r *rig) lay(file, text string) {
	r.t.Helper()
	path := filepath.Join(acme.Folder(r.folder, r.Directory), file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func TestACertificateIsOrderedAtTheStartAndKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	v := r.receive(name, other)
	first := v.awaits(name, nil)
	if second, err := v.serves(other); err != nil || !second.Equal(first) {
		t.Errorf("for the other name is shown %v, %v", second, err)
	}
	r.ordered(1, "at the start")
	if v.Failures() != 0 {
		t.Errorf("%d failures", v.Failures())
	}
	folder := acme.Folder(r.folder, r.Directory)
	for _, file := range []string{acme.File(folder), filepath.Join(folder, "account.pem")} {
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has the mode %v, %v; want 0600", file, info.Mode(), err)
		}
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has the mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) != 2 {
		t.Errorf("in the folder are %v, %v", left, err)
	}
	v.end()
	v = r.receive(name, other)
	if kept, err := v.serves(name); err != nil || !kept.Equal(first) {
		t.Errorf("after a restart is shown %v, %v", kept, err)
	}
	r.ordered(1, "after a restart")
	v.end()
	v = r.receive(name)
	if kept, err := v.serves(name); err != nil || !kept.Equal(first) {
		t.Errorf("with a name less is shown %v, %v", kept, err)
	}
	r.ordered(1, "with a name less")
	v.end()
	v = r.receive(name, "more.example.com")
	v.awaits("more.example.com", first)
	r.ordered(2, "with a name more")
}

func TestHandshakesCauseNoOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Down.Store(true)
	v := r.receive(name)
	v.failed(1)
	asked := r.Asked.Load()
	strangers := func(ok bool) {
		t.Helper()
		for i := range 20 {
			for _, protocols := range [][]string{nil, {"http/1.1"}, {"h2", "http/1.1"}, {"acme-tls/1", "http/1.1"}, {"acme-tls/1"}} {
				for _, asks := range []string{name, fmt.Sprintf("n%d.example.com", i), ""} {
					_, err := v.shows(&tls.Config{ServerName: asks, InsecureSkipVerify: true, NextProtos: protocols})
					if want := ok && (len(protocols) != 1 || protocols[0] != "acme-tls/1"); (err == nil) != want {
						t.Fatalf("who asks for %q by %v: %v", asks, protocols, err)
					}
				}
			}
		}
		r.looked()
	}
	strangers(false) // there is no certificate
	if now := r.Asked.Load(); now != asked {
		t.Errorf("strangers made %d requests to the authority", now-asked)
	}
	r.Down.Store(false)
	r.later(2 * time.Minute)
	v.awaits(name, nil)
	orders, asked := r.Orders.Load(), r.Asked.Load()
	strangers(true)
	if now := r.Asked.Load(); now != asked || r.Orders.Load() != orders {
		t.Errorf("strangers made %d requests to the authority", now-asked)
	}
}

func TestACertificateIsRenewedInTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old := r.seed(59 * 24 * time.Hour)
	v := r.receive(name)
	client, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: name, RootCAs: r.Roots})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	answers := bufio.NewReader(client)
	ask := func() {
		t.Helper()
		_ = client.SetDeadline(time.Now().Add(timeout))
		fmt.Fprintf(client, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name)
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("the connection of before the renewal: %v, %v", answer, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	ask()
	r.ordered(0, "with more than a third of its time left")
	r.later(2 * 24 * time.Hour)
	renewed := v.awaits(name, old)
	if left := time.Until(renewed.NotAfter); left < life-time.Hour {
		t.Errorf("the renewed certificate ends in %v", left)
	}
	r.ordered(1, "at a third of its time")
	ask()
}

func TestTheAuthorityIsDown(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept %v", kept), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			var old *x509.Certificate
			if kept {
				old = r.seed(80 * 24 * time.Hour)
			}
			r.Down.Store(true)
			v := r.receive(name)
			v.failed(1)
			shown, err := v.serves(name)
			if kept && (err != nil || !shown.Equal(old)) || !kept && err == nil {
				t.Errorf("meanwhile is shown %v, %v", shown, err)
			}
			for i, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute} {
				r.later(pause - 10*time.Second)
				v.failed(uint64(i + 1))
				r.later(10*time.Second + pause/8)
				v.failed(uint64(i + 2))
			}
			if got := r.log.count("ordering a TLS certificate failed"); got != 5 {
				t.Errorf("%d failures are in the log, want 5", got)
			}
			r.Down.Store(false)
			r.later(time.Hour)
			v.awaits(name, old)
			r.ordered(1, "in the end")
		})
	}
}

// A refused certificate is ordered four times in the first two hours, and once an hour then.
func TestRefusedOrderIsRepeatedWithPauses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		names []string
		said  string
	}{
		{"by policy", []string{acmetest.Blocked}, "forbidden by policy"},
		{"a name that leads nowhere", []string{name, acmetest.Lost}, acmetest.Lost},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			v := r.receive(row.names...)
			v.failed(1)
			for i, pause := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, time.Hour} {
				r.later(pause - 10*time.Second)
				r.ordered(int64(i+1), "before the pause is over")
				r.later(10*time.Second + pause/8)
				v.failed(uint64(i + 2))
			}
			if r.Orders.Load() != 5 || r.log.count("ordering a TLS certificate failed") != 5 || r.log.count(row.said) < 5 {
				t.Errorf("%d orders; the log:\n%s", r.Orders.Load(), &r.log.Buffer)
			}
			v.end()
			v = r.receive(row.names...)
			r.ordered(5, "after a restart within the pause")
			v.end()
			r.receive(other).awaits(other, nil) // another name has nothing to do with it
		})
	}
	t.Run("a rate of the authority's", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.Limited.Store(true)
		v := r.receive(name)
		v.failed(1)
		r.Limited.Store(false)
		r.later(24*time.Hour - 10*time.Second) // it asks for a week; a day is the most
		r.ordered(1, "before the pause is over")
		r.later(4 * time.Hour)
		v.awaits(name, nil)
		r.ordered(2, "after it")
	})
	t.Run("a clock that is wrong", func(t *testing.T) { // every certificate is due at once
		t.Parallel()
		r := newRig(t)
		r.ahead.Store(int64(70 * 24 * time.Hour))
		v := r.receive(name)
		v.failed(1)
		v.awaits(name, nil)
		r.ordered(1, "with a clock ahead")
		if r.log.count("check the clock of this machine") != 1 {
			t.Errorf("the log:\n%s", &r.log.Buffer)
		}
		r.ahead.Store(0)
		r.ordered(1, "with a clock that is right again")
	})
	t.Run("a certificate that could not be stored", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.lay("failed.json/in/the/way", "") // so that nothing can be noted
		v := r.receive(name)
		v.failed(1)
		r.ordered(0, "without a place for it")
	})
}

func TestBrokenFilesAreReplaced(t *testing.T) {
	t.Parallel()
	for file, text := range map[string]string{
		"certificate.pem": "-----BEGIN CERTIFICATE-----\ngarbage",
		"account.pem":     "garbage",
		"failed.json":     `{"names":["` + name + `"],"failures":-3,"next":"` + time.Now().Add(30*time.Hour).UTC().Format(time.RFC3339) + `"}`,
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.lay(file, text)
			v := r.receive(name)
			v.awaits(name, nil)
			r.ordered(1, "in the end")
		})
	}
}
