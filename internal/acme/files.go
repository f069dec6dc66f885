package acme

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"receiver/internal/durable"
)

// try is the note of an order that failed, or may yet.
type try struct {
	Names    []string  `json:"names"`
	Failures int       `json:"failures"` // in a row
	Next     time.Time `json:"next"`
}

func (k *Keeper) tryFile() string { return filepath.Join(k.folder, "failed.json") }

func (k *Keeper) note() error {
	text, err := json.Marshal(k.last)
	if err != nil {
		return err
	}
	return durable.WriteFile(k.tryFile(), text)
}

// recall reads the note of an earlier process. One about other names, or that is damaged, is none.
func (k *Keeper) recall() (t try) {
	text, err := os.ReadFile(k.tryFile())
	if err != nil || json.Unmarshal(text, &t) != nil || !slices.Equal(t.Names, k.Names) {
		return try{}
	}
	t.Failures = max(t.Failures, 0)
	return t
}

// accountKey returns the key of our account. One that is missing or damaged is made anew: with
// it goes an account, and nothing else.
func (k *Keeper) accountKey() (crypto.Signer, error) {
	path := filepath.Join(k.folder, "account.pem")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		}
	}
	if err == nil {
		k.Log.Warn().Str("file", path).Msg("the ACME account key cannot be used; the receiver makes a new account")
	}
	signer, text, err := newKey()
	if err != nil {
		return nil, err
	}
	return signer, durable.WriteFile(path, text)
}
