// Package certs keeps a certificate of a listener, and reads it again when it was renewed,
// while connections go on. It decides nothing else about TLS.
package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// largest is the size in bytes up to which a file is read: a chain and its key fit well.
const largest = 1 << 20

// Reloader holds the certificate that is in use. It is safe for concurrent use.
type Reloader struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	turn              sync.Mutex // held by Reload
	seen              [sha256.Size]byte
}

// Load reads a certificate, with its chain, and its key, both in PEM. One that is not valid
// now is no error: a listener that does not come up would cost more.
func Load(certFile, keyFile string) (*Reloader, error) {
	r := &Reloader{certFile: certFile, keyFile: keyFile}
	_, err := r.Reload()
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Await is as Load, of one file with both, which somebody is to write: while it cannot be used
// there is no certificate, and err, if there is such a file, says why.
func Await(file string) (r *Reloader, err error) {
	r = &Reloader{certFile: file, keyFile: file}
	if _, err = r.Reload(); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return r, err
}

// ErrNone is returned while a file that is awaited is not there.
var ErrNone = errors.New("there is no TLS certificate yet")

// Reload reads the files again and reports whether the certificate is another one since. If
// it cannot be used, the one in use stays, and the error is returned once for each state of
// the files, so that a loop may log it.
func (r *Reloader) Reload() (changed bool, err error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	certText, certErr := read(r.certFile)
	keyText, keyErr := certText, error(nil)
	if r.keyFile != r.certFile { // of one file both are of the same moment
		keyText, keyErr = read(r.keyFile)
	}
	err = errors.Join(certErr, keyErr)
	now := digest(certText, keyText, err)
	if now == r.seen {
		return false, nil
	}
	r.seen = now
	if err != nil {
		return false, fmt.Errorf("reading a TLS certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return false, fmt.Errorf("the certificate %s does not work with the key %s: %w; both must be PEM files, and belong together", r.certFile, r.keyFile, err)
	}
	old := r.current.Swap(&pair)
	return old == nil || !bytes.Equal(old.Leaf.Raw, pair.Leaf.Raw), nil
}

// Certificate returns the certificate that is in use, with its Leaf; nil while there is none.
func (r *Reloader) Certificate() *tls.Certificate { return r.current.Load() }

// Host returns the host if the certificate in use is for it, else one that it is for.
func (r *Reloader) Host(host string) string {
	leaf := r.Certificate().Leaf
	if leaf.VerifyHostname(host) == nil {
		return host
	}
	for _, name := range leaf.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	if len(leaf.IPAddresses) > 0 {
		return leaf.IPAddresses[0].String()
	}
	return host
}

// GetCertificate is for [tls.Config]; it reads no file.
func (r *Reloader) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := r.current.Load(); c != nil {
		return c, nil
	}
	return nil, ErrNone
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err == nil && len(text) > largest {
		return nil, fmt.Errorf("%s is larger than %d bytes: it is not a certificate or key", path, largest)
	}
	return text, err
}

func digest(cert, key []byte, err error) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %s %d %s %v", len(cert), cert, len(key), key, err))
}
