package publish_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, key.Public(), key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue returns a certificate of a name for the loopback address that expires after a time.
func (a authority) issue(t *testing.T, name string, ends time.Duration) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(ends),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

func (a authority) client(t *testing.T) []tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.issue(t, "client", time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{pair}
}

// port is a server whose port speaks TLS.
type port struct {
	folder string
	tls    *natsserver.PortTLS
	server *natsserver.Server
	owner  nkeys.KeyPair
}

// newPort starts a server with a certificate of an authority.
func newPort(t *testing.T, a authority, ends time.Duration, change func(*natsserver.Embedded)) *port {
	t.Helper()
	dir := t.TempDir()
	p := &port{folder: filepath.Join(dir, "store"), tls: &natsserver.PortTLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}}
	p.renew(t, a, "first", ends)
	e := natstest.Embedded(p.folder)
	e.TLS = p.tls
	if change != nil {
		change(&e)
	}
	var err error
	if p.server, err = natsserver.Start(e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.server.Stop)
	seed, err := os.ReadFile(filepath.Join(p.folder, "owner.nk"))
	if err == nil {
		p.owner, err = nkeys.FromSeed(seed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *port) renew(t *testing.T, a authority, name string, ends time.Duration) {
	t.Helper()
	cert, key := a.issue(t, name, ends)
	writeFile(t, p.tls.CertFile, cert)
	writeFile(t, p.tls.KeyFile, key)
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// connect connects with valid credentials.
func (p *port) connect(t *testing.T, c *tls.Config, more ...nats.Option) (*nats.Conn, error) {
	t.Helper()
	public, err := p.owner.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	opts := append([]nats.Option{nats.Nkey(public, p.owner.Sign), nats.Secure(c), nats.TLSHandshakeFirst()}, more...)
	nc, err := nats.Connect(p.server.URL(), opts...)
	if err == nil {
		t.Cleanup(nc.Close)
		err = nc.Flush() // the server refuses a client's certificate after the handshake
	}
	return nc, err
}

func TestPortRequiresTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, caFile, ours.pem())
	for _, row := range []struct {
		name   string
		ends   time.Duration
		change func(*natsserver.Embedded)
		client *tls.Config
		wrong  string // empty if it may connect
	}{
		{name: "a client that believes the authority", client: &tls.Config{RootCAs: ours.pool()}},
		{name: "another authority", client: &tls.Config{RootCAs: theirs.pool()}, wrong: "unknown authority"},
		{name: "an expired certificate", ends: -time.Minute, client: &tls.Config{RootCAs: ours.pool()}, wrong: "expired"},
		{name: "another name", client: &tls.Config{RootCAs: ours.pool(), ServerName: "other.example"}, wrong: "not other.example"},
		{name: "TLS 1.2", client: &tls.Config{RootCAs: ours.pool(), MaxVersion: tls.VersionTLS12}, wrong: "protocol version"},
		{name: "TLS 1.2 by choice", client: &tls.Config{RootCAs: ours.pool(), MaxVersion: tls.VersionTLS12}, change: func(e *natsserver.Embedded) { e.TLS.TLS12 = true }},
		{name: "TLS 1.1 never", client: &tls.Config{RootCAs: ours.pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, change: func(e *natsserver.Embedded) { e.TLS.TLS12 = true }, wrong: "protocol version"},
		{name: "no client certificate", client: &tls.Config{RootCAs: ours.pool()}, change: func(e *natsserver.Embedded) { e.TLS.CAFile = caFile }, wrong: "certificate required"},
		{name: "a client certificate", client: &tls.Config{RootCAs: ours.pool(), Certificates: ours.client(t)}, change: func(e *natsserver.Embedded) { e.TLS.CAFile = caFile }},
		{name: "a client certificate of another authority", client: &tls.Config{RootCAs: ours.pool(), Certificates: theirs.client(t)}, change: func(e *natsserver.Embedded) { e.TLS.CAFile = caFile }, wrong: "certificate"},
		{name: "every interface", client: &tls.Config{RootCAs: ours.pool(), ServerName: "first"}, change: func(e *natsserver.Embedded) { e.Address = "0.0.0.0:0" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ends := row.ends
			if ends == 0 {
				ends = time.Hour
			}
			p := newPort(t, ours, ends, row.change)
			natstest.Open(t, p.server) // inside this process, without TLS
			_, err := p.connect(t, row.client)
			if row.wrong == "" && err != nil || row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong)) {
				t.Errorf("connecting gives %v, want %q", err, row.wrong)
			}
			// Commands on this machine reach the server with any certificate.
			b, err := publish.Attach(t.Context(), p.folder, conn.Options{})
			if err != nil {
				t.Fatalf("a command cannot reach the server: %v", err)
			}
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
			s, err := natstest.SurveyFolder(t, p.folder)
			if err != nil {
				t.Fatalf("the doctor cannot reach the server: %v", err)
			}
			s.Close()
		})
	}
}

func TestPortRevealsNothingBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	p := newPort(t, newAuthority(t), time.Hour, nil)
	address := strings.TrimPrefix(p.server.URL(), "tls://")
	hello := []byte{0x16, 3, 1, 0, 200, 1, 0} // the first bytes of a handshake, never finished
	for name, says := range map[string][]byte{"silent": nil, "plain": []byte("CONNECT {}\r\nPING\r\n"), "half a handshake": hello} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err := nc.Write(says); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(nc)
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Error("the server holds the connection for ever")
			}
			if bytes.Contains(got, []byte("INFO")) || bytes.Contains(got, []byte("PONG")) {
				t.Errorf("the server says %q in clear", got)
			}
		})
	}
	t.Run("a plain client", func(t *testing.T) {
		t.Parallel()
		nc, err := nats.Connect("nats://"+address, nats.Timeout(300*time.Millisecond))
		if err == nil {
			nc.Close()
			t.Error("a client without TLS is let in")
		}
	})
}

// A client that requests the owner's server name must present the owner's certificate.
func TestOwnersNameNeedsTheOwnersCertificate(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	p := newPort(t, ours, time.Hour, nil)
	for name, certificates := range map[string][]tls.Certificate{"without a certificate": nil, "with another": ours.client(t)} {
		_, err := p.connect(t, &tls.Config{RootCAs: ours.pool(), ServerName: "owner.receiver.internal", Certificates: certificates, InsecureSkipVerify: true})
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("the owner's name %s: %v", name, err)
		}
	}
	// Another server at the address, with a certificate of any authority, is refused before it
	// receives a byte.
	pair, err := tls.X509KeyPair(ours.issue(t, "owner.receiver.internal", time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var heard atomic.Int64
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, c)
			heard.Add(n)
			_ = c.Close()
		}
	}()
	file := filepath.Join(p.folder, "receiver.address")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(text), " ")
	writeFile(t, file, []byte(pid+" tls://"+ln.Addr().String()))
	b, err := publish.Attach(t.Context(), p.folder, conn.Options{})
	if err == nil {
		_ = b.Close(t.Context())
		t.Fatal("a command talks to a server that has not the key of the folder")
	}
	if !strings.Contains(err.Error(), "certificate") || heard.Load() > 0 {
		t.Errorf("Attach says %v; the other server heard %d bytes", err, heard.Load())
	}
}

func TestRenewedCertificateKeepsConnections(t *testing.T) {
	t.Parallel()
	ours, next := newAuthority(t), newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, caFile, ours.pem())
	var refused atomic.Bool
	p := newPort(t, ours, time.Hour, func(e *natsserver.Embedded) {
		e.TLS.CAFile = caFile
		e.Log = zerolog.New(io.Discard).Hook(zerolog.HookFunc(func(_ *zerolog.Event, _ zerolog.Level, text string) {
			if strings.Contains(text, "cannot be used; the previous ones stay in use") {
				refused.Store(true)
			}
		}))
	})
	b := natstest.Open(t, p.server)
	var lost atomic.Int64
	stays, err := p.connect(t, &tls.Config{RootCAs: ours.pool(), Certificates: ours.client(t)},
		nats.NoReconnect(), nats.DisconnectErrHandler(func(*nats.Conn, error) { lost.Add(1) }))
	if err != nil {
		t.Fatal(err)
	}
	// The new certificate without its key is not used.
	cert, key := next.issue(t, "second", time.Hour)
	writeFile(t, p.tls.CertFile, cert)
	natstest.Eventually(t, "half of a renewal is looked at", refused.Load)
	if _, err := p.connect(t, &tls.Config{RootCAs: ours.pool(), Certificates: ours.client(t)}); err != nil {
		t.Errorf("with half of a renewal done: %v", err)
	}
	writeFile(t, p.tls.KeyFile, key)
	writeFile(t, caFile, next.pem())
	natstest.Eventually(t, "new clients see the renewed certificate, and theirs are of the new authority", func() bool {
		_, err := p.connect(t, &tls.Config{RootCAs: next.pool(), Certificates: next.client(t)})
		return err == nil
	})
	if _, err := p.connect(t, &tls.Config{RootCAs: next.pool(), Certificates: ours.client(t)}); err == nil {
		t.Error("a client of the authority that was taken away gets in")
	}
	if _, err := b.Publish(t.Context(), natstest.Unrecognised("{")); err != nil {
		t.Error(err)
	}
	if err := stays.Flush(); err != nil || lost.Load() > 0 {
		t.Errorf("the connection of before the renewal was lost: %v", err)
	}
}

func TestStartFailsWithoutTheCertificate(t *testing.T) {
	t.Parallel()
	e := natstest.Embedded(t.TempDir())
	e.TLS = &natsserver.PortTLS{CertFile: filepath.Join(e.Folder, "none.crt"), KeyFile: filepath.Join(e.Folder, "none.key")}
	if s, err := natsserver.Start(e); err == nil {
		s.Stop()
		t.Error("a server starts without its certificate")
	} else if !strings.Contains(err.Error(), "none.crt") {
		t.Errorf("Start says %v", err)
	}
}

func TestPortBeyondLoopbackRequiresCredentials(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	p := newPort(t, ours, time.Hour, func(e *natsserver.Embedded) { e.Address = "0.0.0.0:0" })
	nc, err := nats.Connect(p.server.URL(), nats.Secure(&tls.Config{RootCAs: ours.pool(), ServerName: "first"}), nats.TLSHandshakeFirst())
	if err == nil {
		nc.Close()
	}
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a client without credentials: %v", err)
	}
}
