// Package acme gets the certificate of a listener from an authority, by ACME (RFC 8555), and
// renews it. It orders for configured names alone and in a loop of its own: no connection
// makes an order, whatever name it asks for. The certificate and its key stand in one file;
// taking it into use is the work of package certs.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	rfc8555 "golang.org/x/crypto/acme"

	"receiver/internal/certs"
	"receiver/internal/durable"
)

const (
	// lookPause is how often it is looked whether a certificate is due.
	lookPause = 10 * time.Second
	// orderTimeout bounds an order, with all its challenges.
	orderTimeout = 5 * time.Minute
	// A failed order is tried again after firstPause, or after refusedPause if the authority
	// refused it, doubled up to lastPause: Let's Encrypt counts five refusals of a name in an hour.
	// The authority may ask for a longer pause, up to mostPause.
	firstPause   = time.Minute
	refusedPause = 15 * time.Minute
	lastPause    = time.Hour
	mostPause    = 24 * time.Hour
)

// Options say which certificate is kept.
type Options struct {
	// Names are the DNS names that the certificate is for; at least one.
	Names []string
	// Email is the address to which the authority reports trouble; empty for none.
	Email string
	// Directory is the URL of the authority's directory. Its terms are agreed to.
	Directory string
	// Folder holds, for each directory, a folder with the account's key and the certificate.
	Folder string
	// Roots are, in PEM, those by which the directory is believed; empty means the system's.
	Roots []byte
	// Look is how often it is looked whether a certificate is due; 0 means every ten seconds.
	Look time.Duration
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	Log zerolog.Logger
}

// Keeper keeps one certificate. It is safe for concurrent use.
type Keeper struct {
	Options
	folder   string
	client   *http.Client
	cert     *certs.Reloader
	leaf     *x509.Certificate // of the certificate that was stored last; nil for none
	last     try
	failures atomic.Uint64

	mu     sync.Mutex
	proofs map[string]*tls.Certificate // of challenges that wait for the authority, by name
}

// New makes the folder, and orders nothing. A certificate that an earlier process stored is in
// use at once.
func New(o Options) (*Keeper, error) {
	k := &Keeper{Options: o, folder: Folder(o.Folder, o.Directory), proofs: map[string]*tls.Certificate{}}
	if k.Look == 0 {
		k.Look = lookPause
	}
	if k.Now == nil {
		k.Now = time.Now
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.Roots) > 0 {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(o.Roots) {
			return nil, errors.New("the file of the authority's roots contains no certificate")
		}
	}
	k.client = &http.Client{Timeout: callTimeout, Transport: bounded{transport}}
	if err := os.MkdirAll(k.folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of ACME: %w", err)
	}
	var err error
	if k.cert, err = certs.Await(File(k.folder)); err != nil {
		k.Log.Error().Err(err).Msg("the stored TLS certificate cannot be used; the receiver orders a new one")
	}
	if own := k.cert.Certificate(); own != nil {
		k.leaf = own.Leaf
	} else {
		k.Log.Warn().Strs("names", k.Names).Msg("there is no TLS certificate yet; clients cannot connect until the receiver has one")
	}
	return k, nil
}

// Folder returns where the files of a directory are, in a folder of all directories.
func Folder(folder, directory string) string {
	name := directory
	if u, err := url.Parse(directory); err == nil {
		name = u.Host + u.Path
	}
	return filepath.Join(folder, strings.Map(func(r rune) rune {
		if strings.ContainsRune("/:\\", r) {
			return '-'
		}
		return r
	}, name))
}

// File returns the file, in the folder of a directory, of the certificate and its key.
func File(folder string) string { return filepath.Join(folder, "certificate.pem") }

// Certificate holds the certificate in use. Its owner must reload it after Run has stored another.
func (k *Keeper) Certificate() *certs.Reloader { return k.cert }

// Failures returns how many orders have failed.
func (k *Keeper) Failures() uint64 { return k.failures.Load() }

// Run orders and renews until ctx is done.
func (k *Keeper) Run(ctx context.Context) {
	k.last = k.recall()
	if wait := k.wait(); k.due() != "" && wait > 0 {
		k.Log.Warn().Time("retry_at", k.last.Next).Int("failures", k.last.Failures).Str("file", k.tryFile()).
			Msg("an earlier order of a TLS certificate failed; the receiver orders again at retry_at, or at once if you delete the file and restart")
	}
	tick := time.NewTicker(k.Look)
	defer tick.Stop()
	for {
		if why := k.due(); why != "" && k.wait() <= 0 {
			k.turn(ctx, why)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// due returns why a certificate is to be ordered; empty if it is not.
func (k *Keeper) due() string {
	if k.leaf == nil {
		return "no certificate is stored"
	}
	for _, name := range k.Names {
		if k.leaf.VerifyHostname(name) != nil {
			return "the stored one is not for " + name
		}
	}
	life := k.leaf.NotAfter.Sub(k.leaf.NotBefore)
	if k.Now().After(k.leaf.NotAfter.Add(-life / 3)) {
		return "less than a third of its lifetime is left"
	}
	return ""
}

// wait is how long no certificate is ordered after failed orders. A clock that was set back does
// not make it longer.
func (k *Keeper) wait() time.Duration {
	if wait := k.last.Next.Sub(k.Now()); wait <= mostPause+mostPause/8 {
		return wait
	}
	return 0
}

// turn makes one order, and notes before that it may fail: a process that dies of it, again
// and again, is no reason to order again and again.
func (k *Keeper) turn(ctx context.Context, why string) {
	k.last.Names, k.last.Failures = k.Names, k.last.Failures+1
	k.last.Next = k.Now().Add(k.pause(nil))
	err := k.note()
	if err == nil {
		k.Log.Info().Strs("names", k.Names).Str("directory", k.Directory).Str("reason", why).Msg("ordering a TLS certificate")
		err = k.renew(ctx)
	}
	if err == nil && k.due() != "" {
		err = fmt.Errorf("the new certificate, from %s to %s, is due for renewal already; check the clock of this machine", k.leaf.NotBefore, k.leaf.NotAfter)
	}
	if err == nil {
		k.last = try{}
		k.Log.Info().Strs("names", k.Names).Time("not_after", k.leaf.NotAfter).Msg("the receiver stored a new TLS certificate")
		if err := os.Remove(k.tryFile()); err != nil && !os.IsNotExist(err) {
			k.Log.Warn().Err(err).Msg("removing the count of failed orders failed")
		}
		return
	}
	if ctx.Err() != nil {
		return // not the authority's fault; the note keeps the pause
	}
	k.failures.Add(1)
	k.last.Next = k.Now().Add(k.pause(err))
	e := k.Log.Error().Err(err).Int("failures", k.last.Failures).Time("retry_at", k.last.Next)
	if k.leaf != nil {
		e = e.Time("not_after", k.leaf.NotAfter)
	}
	e.Msg("ordering a TLS certificate failed; the current one stays in use")
	if err := k.note(); err != nil {
		k.Log.Warn().Err(err).Msg("writing the count of failed orders failed")
	}
}

// renew orders a certificate and puts it into the file.
func (k *Keeper) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	text, err := k.order(ctx)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return fmt.Errorf("the certificate from the authority: %w", err)
	}
	for _, name := range k.Names {
		if err := pair.Leaf.VerifyHostname(name); err != nil {
			return fmt.Errorf("the certificate from the authority: %w", err)
		}
	}
	if err := durable.WriteFile(File(k.folder), text); err != nil {
		return fmt.Errorf("storing the certificate: %w", err)
	}
	k.leaf = pair.Leaf
	return nil
}

// pause is how long to wait after an order that failed so.
func (k *Keeper) pause(err error) time.Duration {
	first := firstPause
	var problem *rfc8555.Error
	var authorization *rfc8555.AuthorizationError
	var order *rfc8555.OrderError
	asked := errors.As(err, &problem)
	if asked && problem.StatusCode < http.StatusInternalServerError || errors.As(err, &authorization) || errors.As(err, &order) {
		first = refusedPause
	}
	pause := min(first<<min(k.last.Failures-1, 10), lastPause)
	if asked {
		if after, limited := rfc8555.RateLimit(problem); limited {
			pause = min(max(pause, after), mostPause)
		}
	}
	return pause + rand.N(pause/8) //nolint:gosec // not all receivers at once; nobody gains by guessing it
}

// Challenge is for GetConfigForClient of a [tls.Config]. It answers an authority that looks
// after a challenge (tls-alpn-01, RFC 8737) of an order under way; all else is nil.
func (k *Keeper) Challenge(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if !slices.Equal(hello.SupportedProtos, []string{rfc8555.ALPNProto}) {
		return nil, nil
	}
	k.mu.Lock()
	proof := k.proofs[strings.ToLower(hello.ServerName)]
	k.mu.Unlock()
	if proof == nil {
		return nil, errors.New("no order of this receiver has a challenge for this name")
	}
	return &tls.Config{Certificates: []tls.Certificate{*proof}, NextProtos: []string{rfc8555.ALPNProto}, MinVersion: tls.VersionTLS12}, nil
}
