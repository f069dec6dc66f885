package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	rfc8555 "golang.org/x/crypto/acme"
)

const (
	// callTimeout bounds one request to the authority, and largest its answer in bytes.
	callTimeout = 30 * time.Second
	largest     = 1 << 20
	// A request that the authority's server cannot answer now is sent again, tries times.
	tries    = 3
	tryPause = 500 * time.Millisecond
)

// order returns a new key and the certificate for it with its chain, in PEM.
func (k *Keeper) order(ctx context.Context) ([]byte, error) {
	c, err := k.account(ctx)
	if err != nil {
		return nil, err
	}
	o, err := c.AuthorizeOrder(ctx, rfc8555.DomainIDs(k.Names...))
	if err != nil {
		return nil, fmt.Errorf("ordering: %w", err)
	}
	for _, at := range o.AuthzURLs {
		if err := k.prove(ctx, c, at); err != nil {
			return nil, err
		}
	}
	if o, err = c.WaitOrder(ctx, o.URI); err != nil {
		return nil, fmt.Errorf("waiting for the order: %w", err)
	}
	key, text, err := newKey()
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: k.Names}, key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate request: %w", err)
	}
	chain, _, err := c.CreateCertFromOrder(ctx, o, csr, true)
	if err != nil {
		return nil, fmt.Errorf("fetching the certificate: %w", err)
	}
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text, nil
}

// account returns a client with our account at the authority, which is made at the first order.
func (k *Keeper) account(ctx context.Context) (*rfc8555.Client, error) {
	key, err := k.accountKey()
	if err != nil {
		return nil, fmt.Errorf("the key of the account: %w", err)
	}
	c := &rfc8555.Client{
		Key: key, HTTPClient: k.client, DirectoryURL: k.Directory, UserAgent: "receiver",
		RetryBackoff: func(n int, _ *http.Request, answer *http.Response) time.Duration {
			if n > tries || answer.StatusCode == http.StatusTooManyRequests {
				return 0
			}
			return tryPause
		},
	}
	directory, err := c.Discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the directory %s: %w", k.Directory, err)
	}
	_, err = c.GetReg(ctx, "")
	if !errors.Is(err, rfc8555.ErrNoAccount) {
		return c, err
	}
	a := &rfc8555.Account{}
	if k.Email != "" {
		a.Contact = []string{"mailto:" + k.Email}
	}
	if _, err := c.Register(ctx, a, rfc8555.AcceptTOS); err != nil && !errors.Is(err, rfc8555.ErrAccountAlreadyExists) {
		return nil, fmt.Errorf("making an account: %w", err)
	}
	k.Log.Info().Str("directory", k.Directory).Str("terms", directory.Terms).Msg("the receiver made an ACME account and agreed to the terms of the authority")
	return c, nil
}

// prove shows the authority that one of the names leads here.
func (k *Keeper) prove(ctx context.Context, c *rfc8555.Client, at string) error {
	a, err := c.GetAuthorization(ctx, at)
	if err != nil {
		return fmt.Errorf("reading a challenge: %w", err)
	}
	if a.Status == rfc8555.StatusValid {
		return nil
	}
	name := a.Identifier.Value
	for _, challenge := range a.Challenges {
		if challenge.Type != "tls-alpn-01" {
			continue
		}
		proof, err := c.TLSALPN01ChallengeCert(challenge.Token, name)
		if err != nil {
			return fmt.Errorf("making the proof for %s: %w", name, err)
		}
		k.mu.Lock()
		k.proofs[name] = &proof
		k.mu.Unlock()
		defer func() {
			k.mu.Lock()
			delete(k.proofs, name)
			k.mu.Unlock()
		}()
		if _, err := c.Accept(ctx, challenge); err != nil {
			return fmt.Errorf("accepting the challenge of %s: %w", name, err)
		}
		if _, err := c.WaitAuthorization(ctx, a.URI); err != nil {
			return fmt.Errorf("port 443 of %s must lead to this listener: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("the authority offers no tls-alpn-01 challenge for %s, the only one that the receiver supports", name)
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// bounded cuts off answers that are larger than any should be.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, largest), answer.Body}
	}
	return answer, err
}
