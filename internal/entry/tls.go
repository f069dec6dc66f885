// Package entry opens the listeners of the program: at a host and port, as a Unix socket, or
// as systemd handed them over. It says how TLS is spoken there, and nothing of what is served.
package entry

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"receiver/internal/certs"
)

// Security is the TLS of a listener.
type Security struct {
	// Certificate is what the listener shows; it must be set.
	Certificate *certs.Reloader
	// Challenge, if it is set, may answer a client in another way; a nil configuration is none.
	Challenge func(*tls.ClientHelloInfo) (*tls.Config, error)
	// TLS12 lets in clients that do not speak TLS 1.3.
	TLS12 bool
	// Authorities are, in PEM, those of the clients' certificates; empty asks for none.
	Authorities []byte
	// Names are those of which a client's certificate must hold one; none lets all in.
	Names []string
}

// Config returns how to speak TLS.
func (s Security) Config() (*tls.Config, error) {
	c := base(s.TLS12)
	c.GetCertificate, c.GetConfigForClient = s.Certificate.GetCertificate, s.Challenge
	if len(s.Authorities) == 0 {
		return c, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.Authorities) {
		return nil, errors.New("the file of client authorities contains no certificate")
	}
	// Verified below: the program's own commands show the listener's own certificate.
	c.ClientAuth, c.ClientCAs = tls.RequireAnyClientCert, roots
	c.SessionTicketsDisabled = true // each connection is judged anew
	c.VerifyConnection = func(state tls.ConnectionState) error { return s.admit(roots, state.PeerCertificates) }
	return c, nil
}

// base is what all listeners have in common.
func base(tls12 bool) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if tls12 {
		c.MinVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{ // of TLS 1.2: forward secrecy and AEAD
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		}
	}
	return c
}

// admit decides on the certificate of a client, which has shown that it holds the key.
func (s Security) admit(roots *x509.CertPool, shown []*x509.Certificate) error {
	if len(shown) == 0 {
		return errors.New("the client sent no certificate")
	}
	if own := s.Certificate.Certificate(); own != nil && bytes.Equal(shown[0].Raw, own.Leaf.Raw) {
		return nil
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range shown[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := shown[0].Verify(o); err != nil {
		return fmt.Errorf("the client's certificate is not valid: %w", err)
	}
	holds := func(name string) bool {
		return name == shown[0].Subject.CommonName || slices.Contains(shown[0].DNSNames, name)
	}
	if len(s.Names) > 0 && !slices.ContainsFunc(s.Names, holds) {
		return errors.New("the client's certificate has none of the accepted names")
	}
	return nil
}

// Own is how the program's own commands speak to a listener with that certificate: they believe
// it alone, and show it if they are asked for one.
func Own(certificate *certs.Reloader) *tls.Config {
	own := certificate.Certificate()
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		//nolint:gosec // it is compared with the certificate itself, which stands in a file of ours
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].Raw, own.Leaf.Raw) {
				return errors.New("the listener sent a certificate other than the configured one")
			}
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil },
	}
}
