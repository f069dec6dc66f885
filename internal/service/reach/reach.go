// Package reach asks the receiver of a configuration on its own machine: by the address of a
// listener, or by the socket in the store's folder. It sends no token and starts nothing.
package reach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/acme"
	"receiver/internal/certs"
	"receiver/internal/config"
	"receiver/internal/entry"
	"receiver/internal/local"
	"receiver/internal/plain"
)

// Timeout bounds how long an answer of a listener is waited for.
const Timeout = 3 * time.Second

// Listener is where a listener of a receiver is, and the certificate that it shows.
type Listener struct {
	// Address is as in the configuration.
	Address string
	// CertFile and KeyFile are absolute paths; empty for clear text.
	CertFile, KeyFile string
}

// Public returns the public listener.
func Public(cfg *config.Config) Listener {
	p := cfg.Public
	l := Listener{Address: p.Address, CertFile: cfg.Abs(p.TLS.CertFile), KeyFile: cfg.Abs(p.TLS.KeyFile)}
	if a := p.TLS.ACME; a.On() {
		l.CertFile = acme.File(acme.Folder(cfg.Abs(a.Folder), a.Directory))
		l.KeyFile = l.CertFile
	}
	return l
}

// Private returns the private listener.
func Private(cfg *config.Config) Listener {
	p := cfg.Private
	return Listener{Address: p.Address, CertFile: cfg.Abs(p.TLS.CertFile), KeyFile: cfg.Abs(p.TLS.KeyFile)}
}

// Client returns the HTTP client with which commands on this machine reach a listener, and its
// address. It uses no proxy: a token is for the listener only.
func (l Listener) Client() (*http.Client, string, error) {
	network, at, err := entry.Dial(l.Address)
	if err != nil {
		return nil, "", err
	}
	t := &http.Transport{DisableKeepAlives: true}
	base := "http://"
	if l.CertFile != "" {
		pair, err := certs.Load(l.CertFile, l.KeyFile)
		if err != nil {
			return nil, "", err
		}
		t.TLSClientConfig, base = entry.Own(pair), "https://"
	}
	if network != "unix" {
		return &http.Client{Transport: t}, base + reachable(at), nil
	}
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, at)
	}
	return &http.Client{Transport: t}, base + "localhost", nil
}

// reachable is a listener's address as this machine reaches it.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

var errToken = errors.New("it requires a token, and no token is sent to an address that cannot prove its identity")

// Ask has the private listener of the receiver that this configuration is of answer a question.
// With a store of its own it is asked by the socket in the store's folder, which only who holds
// that can listen on. At an address nobody proves who they are, so no token goes there.
func Ask(ctx context.Context, cfg *config.Config, path string, answer any) error {
	switch {
	case cfg.NATS.Embeds():
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return local.Dial(ctx, cfg.Abs(cfg.NATS.Embedded.Folder))
		}}}
		return get(ctx, client, "http://folder", path, answer)
	case tokenNeeded(cfg):
		return errToken
	}
	return Private(cfg).ask(ctx, path, answer)
}

// ask asks a listener at its address.
func (l Listener) ask(ctx context.Context, path string, answer any) error {
	client, base, err := l.Client()
	if err != nil {
		return err
	}
	return get(ctx, client, base, path, answer)
}

func get(ctx context.Context, client *http.Client, base, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return err
	}
	got, err := client.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	body := io.LimitReader(got.Body, 8<<20)
	if got.StatusCode != http.StatusOK {
		var why api.Problem
		_ = json.NewDecoder(body).Decode(&why) // the status says enough
		if why.Detail != "" {
			return fmt.Errorf("GET %s: %s: %s", path, got.Status, plain.Text(why.Detail))
		}
		return fmt.Errorf("GET %s: %s", path, got.Status)
	}
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("GET %s: the answer is not that of a receiver: %w", path, err)
	}
	return nil
}

// tokenNeeded says whether the private listener asks for a token.
func tokenNeeded(cfg *config.Config) bool {
	_, found, _ := access.ReadFile(cfg.Abs(cfg.Private.TokensFile))
	return found || !cfg.Private.Token.Empty()
}
