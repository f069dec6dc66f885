package entry_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/certs"
	"receiver/internal/entry"
)

// authority signs certificates; a nil one lets them sign themselves.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	text []byte
}

func issue(t *testing.T, by *authority, name string, from, to time.Time) (certFile, keyFile string, made *authority) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: to,
		IsCA: by == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	write(t, certFile, text)
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return certFile, keyFile, &authority{cert, key, text}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func valid() (from, to time.Time) { return time.Now().Add(-time.Hour), time.Now().Add(time.Hour) }

func pair(t *testing.T, by *authority, name string) (*certs.Reloader, *authority) {
	from, to := valid()
	return pairOf(t, by, name, from, to)
}

func pairOf(t *testing.T, by *authority, name string, from, to time.Time) (*certs.Reloader, *authority) {
	t.Helper()
	certFile, keyFile, made := issue(t, by, name, from, to)
	r, err := certs.Load(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return r, made
}

// hears serves TLS and returns what a client with that configuration meets.
func hears(t *testing.T, s entry.Security, client *tls.Config) error {
	t.Helper()
	c, err := s.Config()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	go func() {
		conn, err := inner.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		ours := tls.Server(conn, c)
		if ours.HandshakeContext(context.Background()) == nil {
			_, _ = ours.Write([]byte("hello\n"))
			_ = ours.Close()
		}
	}()
	conn, err := tls.Dial("tcp", inner.Addr().String(), client)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	said, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && said != "hello\n" {
		err = fmt.Errorf("heard %q", said)
	}
	return err
}

func TestVersions(t *testing.T) {
	t.Parallel()
	shown, _ := pair(t, nil, "localhost")
	for _, tt := range []struct {
		tls12    bool
		min, max uint16
		suites   []uint16
		ok       bool
	}{
		{false, tls.VersionTLS13, tls.VersionTLS13, nil, true},
		{false, tls.VersionTLS12, tls.VersionTLS12, nil, false},
		{true, tls.VersionTLS13, tls.VersionTLS13, nil, true},
		{true, tls.VersionTLS12, tls.VersionTLS12, nil, true},
		{true, tls.VersionTLS12, tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}, false},
		{true, tls.VersionTLS10, tls.VersionTLS11, nil, false},
	} {
		err := hears(t, entry.Security{Certificate: shown, TLS12: tt.tls12}, &tls.Config{
			InsecureSkipVerify: true, MinVersion: tt.min, MaxVersion: tt.max, CipherSuites: tt.suites,
		})
		if (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	shown, _ := pair(t, nil, "localhost")
	_, ca := pair(t, nil, "the authority")
	past := time.Now().Add(-time.Hour)
	good, _ := pair(t, ca, "operator")
	other, _ := pair(t, ca, "somebody")
	old, _ := pairOf(t, ca, "operator", past.Add(-time.Hour), past)
	foreign, _ := pair(t, nil, "operator")
	with := func(r *certs.Reloader) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return r.Certificate(), nil // whatever the server asks for
		}}
	}
	stranger, _ := pair(t, nil, "localhost")
	for _, tt := range []struct {
		name   string
		client *tls.Config
		names  []string
		ok     bool
	}{
		{"none", &tls.Config{InsecureSkipVerify: true}, nil, false},
		{"valid", with(good), nil, true},
		{"valid, of a name", with(good), []string{"operator"}, true},
		{"of another name", with(other), []string{"operator"}, false},
		{"ended", with(old), nil, false},
		{"of another authority", with(foreign), nil, false},
		{"the program itself", entry.Own(shown), []string{"operator"}, true},
		{"the program, of another listener", entry.Own(stranger), nil, false},
	} {
		err := hears(t, entry.Security{Certificate: shown, Authorities: ca.text, Names: tt.names}, tt.client)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// folder is short: a socket's path is bounded.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e") //nolint:usetesting // the name of a test makes its path too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(folder(t), "s")
	ln, err := entry.Listen("unix:"+path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("beside the socket is something else: %v", left)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.RemoteAddr))
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.ContentLength != int64(len(entry.Unix)) {
		t.Errorf("the answer is %v, %v", answer, err)
	}
	if _, err := entry.Listen("unix:"+path, 0o660); err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("a second listener: %v", err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestUnixSocketReplacesOnlyAStaleOne(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(t *testing.T, path string) (stays bool){
		"nothing": func(*testing.T, string) bool { return false },
		"stale": func(t *testing.T, path string) bool {
			ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err != nil {
				t.Fatal(err)
			}
			ln.SetUnlinkOnClose(false)
			return ln.Close() != nil
		},
		"in use": func(t *testing.T, path string) bool {
			ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ln.Close() })
			return true
		},
		"link to a stale one": func(t *testing.T, path string) bool {
			ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + "x"})
			if err != nil {
				t.Fatal(err)
			}
			ln.SetUnlinkOnClose(false)
			return ln.Close() == nil && os.Symlink(path+"x", path) == nil
		},
		"file":   func(t *testing.T, path string) bool { write(t, path, []byte("x")); return true },
		"folder": func(_ *testing.T, path string) bool { return os.Mkdir(path, 0o700) == nil },
		"link":   func(_ *testing.T, path string) bool { return os.Symlink("/nowhere", path) == nil },
	} {
		path := filepath.Join(folder(t), "s")
		stays := lay(t, path)
		before, _ := os.Lstat(path)
		ln, err := entry.Listen("unix:"+path, 0o600)
		if (err != nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := os.Lstat(path); stays && !os.SameFile(before, now) {
			t.Errorf("%s is replaced", name)
		}
		if err == nil {
			_ = ln.Close()
		}
	}
	if _, err := entry.Listen("unix:"+filepath.Join(folder(t), "no", "s"), 0o600); err == nil {
		t.Error("a folder is made")
	}
}

// A socket that another process has put in its place since is not removed.
func TestUnixSocketLeavesItsSuccessor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(folder(t), "s")
	ln, err := entry.Listen("unix:"+path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, []byte("x"))
	_ = ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}
