package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	std "log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/acme"
	"receiver/internal/certs"
	"receiver/internal/config"
	"receiver/internal/entry"
	"receiver/internal/service/reach"
	"receiver/internal/web"
)

// certificateLook is how often the files of a certificate are looked at.
const certificateLook = 2 * time.Second

// openListener is a listener with its server.
type openListener struct {
	name, addr string // the address as a URL, for people
	listener   *web.Listener
	server     *http.Server
	failed     chan error
	cert       *certs.Reloader // nil in clear text
	keeper     *acme.Keeper    // orders cert; nil where files are given
	unusable   atomic.Uint64   // certificates
}

// entrance has the settings of a listener.
type entrance struct {
	reach.Listener
	name, mode  string
	keeper      *acme.Keeper // writes the certificate; nil where files are given
	tls12       bool
	authorities string // the file of clients' authorities, absolute; empty asks for none
	names       []string
}

func publicEntrance(cfg *config.Config) entrance {
	p := cfg.Public
	return entrance{name: "public", Listener: reach.Public(cfg), mode: p.SocketMode, tls12: p.TLS.MinVersion == "1.2"}
}

func privateEntrance(cfg *config.Config) entrance {
	p := cfg.Private
	return entrance{
		name: "private", Listener: reach.Private(cfg), mode: p.SocketMode, tls12: p.TLS.MinVersion == "1.2",
		authorities: cfg.Abs(p.TLS.ClientCAFile), names: p.TLS.ClientNames,
	}
}

// security reads the files for TLS; all is nil in clear text.
func (e entrance) security() (*certs.Reloader, *tls.Config, error) {
	if e.CertFile == "" {
		return nil, nil, nil
	}
	s := entry.Security{TLS12: e.tls12, Names: e.names}
	var err error
	if e.keeper != nil {
		s.Certificate, s.Challenge = e.keeper.Certificate(), e.keeper.Challenge
	} else if s.Certificate, err = certs.Load(e.CertFile, e.KeyFile); err != nil {
		return nil, nil, fmt.Errorf("%s.tls: %w", e.name, err)
	}
	if e.authorities != "" {
		if s.Authorities, err = os.ReadFile(e.authorities); err != nil {
			return nil, nil, fmt.Errorf("%s.tls.client_ca_file: %w", e.name, err)
		}
	}
	c, err := s.Config()
	return s.Certificate, c, err
}

func open(e entrance, h http.Handler, l config.Limits, bound web.Bound, errorLog *std.Logger) (*openListener, error) {
	pair, security, err := e.security()
	if err != nil {
		return nil, err
	}
	ln, err := entry.Listen(e.Address, config.Mode(e.mode))
	if err != nil {
		return nil, fmt.Errorf("opening the %s listener: %w; change %s.address, or stop the program that uses it", e.name, err, e.name)
	}
	d := serveListener(ln, security, h, l, bound, errorLog)
	d.name, d.cert, d.keeper = e.name, pair, e.keeper
	return d, nil
}

// bound returns the limit of a listener's connections.
func (in *Instance) bound(name string, most int, trusted []netip.Prefix) web.Bound {
	return web.Bound{Most: most, Trusted: trusted, Log: in.log.With().Str("listener", name).Logger()}
}

// serveListener serves what comes in at a listener, in clear text without security.
func serveListener(ln net.Listener, security *tls.Config, h http.Handler, l config.Limits, bound web.Bound, errorLog *std.Logger) *openListener {
	d := &openListener{addr: ln.Addr().String(), listener: web.NewListener(ln, bound), failed: make(chan error, 1), server: web.NewServer(h, web.Limits{
		Header: int(l.Header), ReadHeader: l.ReadHeaderTimeout, Read: l.ReadTimeout,
		Write: l.WriteTimeout, Idle: l.IdleTimeout,
	}, errorLog)}
	d.server.TLSConfig = security
	go func() { d.failed <- d.listener.Serve(d.server) }()
	return d
}

// url is the address of the listener, for people.
func (d *openListener) url() string {
	switch {
	case d.listener.Addr().Network() == "unix":
		return d.addr
	case d.cert != nil:
		return "https://" + d.addr
	}
	return "http://" + d.addr
}

// keepCertificate takes a renewed certificate into use, until ctx is done.
func (d *openListener) keepCertificate(ctx context.Context, log zerolog.Logger) {
	if own := d.cert.Certificate(); own != nil && (time.Now().After(own.Leaf.NotAfter) || time.Now().Before(own.Leaf.NotBefore)) {
		leaf := own.Leaf
		log.Error().Time("not_before", leaf.NotBefore).Time("not_after", leaf.NotAfter).Msg("the TLS certificate is not valid now; clients that check it cannot connect")
	}
	tick := time.NewTicker(certificateLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := d.cert.Reload()
		switch {
		case errors.Is(err, fs.ErrNotExist) && d.cert.Certificate() == nil: // it is being ordered
		case err != nil:
			d.unusable.Add(1)
			log.Error().Err(err).Msg("the TLS certificate cannot be read again; the previous one stays in use")
		case changed:
			log.Info().Time("not_after", d.cert.Certificate().Leaf.NotAfter).Msg("the receiver uses another TLS certificate")
		}
	}
}

// ends is when the certificate ends; the beginning of 1970 while there is none.
func (d *openListener) ends() time.Time {
	if own := d.cert.Certificate(); own != nil {
		return own.Leaf.NotAfter
	}
	return time.Unix(0, 0)
}

// failures is how often another certificate could not be used or not be ordered.
func (d *openListener) failures() uint64 {
	n := d.unusable.Load()
	if d.keeper != nil {
		n += d.keeper.Failures()
	}
	return n
}

// newKeeper returns the keeper that orders the certificate of the public listener; nil without
// ACME.
func (in *Instance) newKeeper() (*acme.Keeper, error) {
	a := in.cfg.Public.TLS.ACME
	if !a.On() {
		return nil, nil
	}
	o := acme.Options{
		Names: a.Names, Email: a.Email, Directory: a.Directory, Folder: in.cfg.Abs(a.Folder),
		Log: in.log.With().Str("listener", "public").Logger(),
	}
	var err error
	if a.CAFile != "" {
		if o.Roots, err = os.ReadFile(in.cfg.Abs(a.CAFile)); err != nil {
			return nil, fmt.Errorf("public.tls.acme.ca_file: %w", err)
		}
	}
	k, err := acme.New(o)
	if err != nil {
		return nil, fmt.Errorf("public.tls.acme: %w", err)
	}
	return k, nil
}
