package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"sync"
	"sync/atomic"
)

// Authorities are those whose client certificates a listener takes. It is safe for
// concurrent use.
type Authorities struct {
	file    string
	current atomic.Pointer[x509.CertPool]
	turn    sync.Mutex // held by Reload
	seen    [sha256.Size]byte
}

// LoadAuthorities reads a file of certificates in PEM.
func LoadAuthorities(file string) (*Authorities, error) {
	a := &Authorities{file: file}
	if _, err := a.Reload(); err != nil {
		return nil, err
	}
	return a, nil
}

// Reload is as that of a [Reloader].
func (a *Authorities) Reload() (changed bool, err error) {
	a.turn.Lock()
	defer a.turn.Unlock()
	text, err := read(a.file)
	now := digest(text, nil, err)
	if now == a.seen {
		return false, nil
	}
	a.seen = now
	if err != nil {
		return false, fmt.Errorf("reading the authorities of client certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return false, fmt.Errorf("%s contains no certificate; it must be a PEM file of authorities", a.file)
	}
	old := a.current.Swap(pool)
	return old == nil || !old.Equal(pool), nil
}

// Pool returns the authorities that are in use.
func (a *Authorities) Pool() *x509.CertPool { return a.current.Load() }
