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
	return put(k.tryFile(), text)
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
		k.Log.Warn().Str("file", path).Msg("the key of the account cannot be used; another account is made")
	}
	signer, text, err := newKey()
	if err != nil {
		return nil, err
	}
	return signer, put(path, text)
}

// put makes a file, for its owner alone, appear whole and on disk, or leaves the one that is there.
func put(path string, text []byte) error {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
