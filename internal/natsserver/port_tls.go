package natsserver

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"receiver/internal/certs"
)

// PortTLS encrypts the port of an embedded server. A client starts with its handshake and sees no
// NATS protocol before.
type PortTLS struct {
	// CertFile and KeyFile are the server's certificate, with its chain, and the key, in PEM.
	// They are read again when they change, and connections stay.
	CertFile, KeyFile string
	// CAFile holds the authorities for client certificates; empty means that clients need none.
	CAFile string
	// TLS12 admits clients that do not support TLS 1.3.
	TLS12 bool
}

// portTLS is a PortTLS whose files were read.
type portTLS struct {
	cert        *certs.Reloader
	authorities *certs.Authorities // nil if clients need no certificate
	least       uint16
	owner       *tls.Config
}

// handshakeTimeout bounds a handshake: an abandoned one holds a connection for so long.
const handshakeTimeout = 2 * time.Second

// certInterval is how often the files are checked for changes.
const certInterval = time.Second

// load reads the files; nil stays nil.
func (t *PortTLS) load(owner nkeys.KeyPair) (*portTLS, error) {
	if t == nil {
		return nil, nil
	}
	p := &portTLS{least: tls.VersionTLS13}
	if t.TLS12 {
		p.least = tls.VersionTLS12
	}
	var err error
	if p.cert, err = certs.Load(t.CertFile, t.KeyFile); err != nil {
		return nil, fmt.Errorf("TLS of the NATS port: %w", err)
	}
	if t.CAFile != "" {
		if p.authorities, err = certs.LoadAuthorities(t.CAFile); err != nil {
			return nil, fmt.Errorf("TLS of the NATS port: %w", err)
		}
	}
	p.owner, err = ownerTLS(owner)
	return p, err
}

// configure makes a server require TLS of all clients outside of this process.
func (p *portTLS) configure(opts *server.Options) {
	if p == nil {
		return
	}
	opts.TLSHandshakeFirst, opts.TLSTimeout = true, handshakeTimeout.Seconds()
	opts.TLSConfig = &tls.Config{
		MinVersion: p.least, GetCertificate: p.cert.GetCertificate, SessionTicketsDisabled: true,
		GetConfigForClient: p.forClient,
	}
}

// forClient returns the configuration for a client: for the owner, a certificate that both sides
// derive from the key in the folder; for all others, the certificate in the files as they are now.
func (p *portTLS) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if hello.ServerName == ownerName {
		return p.owner, nil
	}
	c := &tls.Config{MinVersion: p.least, GetCertificate: p.cert.GetCertificate, SessionTicketsDisabled: true}
	if p.authorities != nil {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, p.authorities.Pool()
	}
	return c, nil
}

// watch reads the files again when they change, until ctx is done.
func (p *portTLS) watch(ctx context.Context, log zerolog.Logger) {
	if p == nil {
		return
	}
	p.warn(log)
	tick := time.NewTicker(certInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.reload(log)
		}
	}
}

func (p *portTLS) reload(log zerolog.Logger) {
	changed, err := p.cert.Reload()
	if p.authorities != nil {
		_, wrong := p.authorities.Reload()
		err = errors.Join(err, wrong)
	}
	if err != nil {
		log.Error().Err(err).Msg("the TLS files of the NATS port cannot be used; the previous ones stay in use")
	}
	if changed {
		log.Info().Time("not_after", p.cert.Certificate().Leaf.NotAfter).Msg("the NATS port uses a renewed certificate for new connections")
		p.warn(log)
	}
}

// warn logs that the certificate has expired.
func (p *portTLS) warn(log zerolog.Logger) {
	if leaf := p.cert.Certificate().Leaf; time.Now().After(leaf.NotAfter) {
		log.Warn().Time("not_after", leaf.NotAfter).Msg("the certificate of the NATS port has expired; consumers cannot connect until you renew it")
	}
}

// ownerName is the server name that the commands of this machine ask for. They trust no authority,
// only the key in the folder. So they reach the server even if its certificate has expired, and no
// other server in its place.
const ownerName = "owner.receiver.internal"

// ownerTLS is the configuration by which the server and the commands of its machine prove to each
// other that they can read the key in the folder.
func ownerTLS(owner nkeys.KeyPair) (*tls.Config, error) {
	cert, err := ownerCertificate(owner)
	if err != nil {
		return nil, fmt.Errorf("making a certificate of the owner's key: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: ownerName, Certificates: []tls.Certificate{cert},
		RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, SessionTicketsDisabled: true,
	}, nil
}

// ownerCertificate makes the same certificate each time it is called with the same key. Its own key
// is derived, so that a signature of one protocol is never valid in the other.
func ownerCertificate(owner nkeys.KeyPair) (tls.Certificate, error) {
	seed, err := owner.Seed()
	if err != nil {
		return tls.Certificate{}, err
	}
	_, secret, err := nkeys.DecodeSeed(seed)
	if err != nil {
		return tls.Certificate{}, err
	}
	derived, err := hkdf.Key(sha256.New, secret, nil, "receiver: TLS between a server and the commands of its machine", ed25519.SeedSize)
	if err != nil {
		return tls.Certificate{}, err
	}
	key := ed25519.NewKeyFromSeed(derived)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: ownerName}, DNSNames: []string{ownerName},
		// Removing the key in the folder is what ends it.
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

const tlsScheme = "tls://"

// encrypted returns what a command needs besides its key to connect to a server's URL.
func encrypted(url string, owner nkeys.KeyPair) ([]nats.Option, error) {
	if !strings.HasPrefix(url, tlsScheme) {
		return nil, nil
	}
	config, err := ownerTLS(owner)
	if err != nil {
		return nil, err
	}
	return []nats.Option{nats.Secure(config), nats.TLSHandshakeFirst()}, nil
}

// scheme is the URL scheme of the server's port.
func (e Embedded) scheme() string {
	if e.TLS != nil {
		return tlsScheme
	}
	return "nats://"
}

// localAddress returns the address at which a listener is reached from its own machine.
func localAddress(a *net.TCPAddr) string {
	host := a.IP
	switch {
	case host.Equal(net.IPv4zero):
		host = net.IPv4(127, 0, 0, 1)
	case host.IsUnspecified():
		host = net.IPv6loopback
	}
	return (&net.TCPAddr{IP: host, Port: a.Port, Zone: a.Zone}).String()
}
