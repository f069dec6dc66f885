package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"
)

// ErrEmptyKey is returned by NewKey for a key of no bytes or of white space
// only. Such a key would let anyone sign; the caller must refuse to start.
var ErrEmptyKey = errors.New("the signature key is empty: set the value of event.notification.signature.key")

// Key is one signature key of a source. It is made by NewKey, holds the HMAC
// key schedule ready for use, and never gives the secret back. A Key is safe
// for concurrent use and must not be copied after first use.
type Key struct {
	name        string
	fingerprint string
	notBefore   time.Time
	notAfter    time.Time
	macs        sync.Pool
}

// Window limits when a key is expected to be used. The zero time means no limit
// on that side. A signature made with a key outside its window still verifies
// (the protocol has no signing time to judge by, contract (b) row 14); the
// verdict says so, and it is the operator's to act on.
type Window struct {
	NotBefore, NotAfter time.Time
}

// NewKey makes a key from the exact bytes of secret: no trimming, no decoding.
// The name appears in verdicts and logs. It returns ErrEmptyKey for a key that
// is empty or all white space.
//
// OC: (a) row 25, (b) rows 7 and 13.
func NewKey(name string, secret []byte, w Window) (*Key, error) {
	if strings.TrimSpace(string(secret)) == "" {
		return nil, fmt.Errorf("key %q: %w", name, ErrEmptyKey)
	}
	secret = append([]byte(nil), secret...) // the caller may wipe its own copy
	k := &Key{name: name, fingerprint: fingerprint(secret), notBefore: w.NotBefore, notAfter: w.NotAfter}
	k.macs.New = func() any { return newMAC(secret) }
	return k, nil
}

// Name returns the configured name of the key.
func (k *Key) Name() string { return k.name }

// Fingerprint returns `sha256:` and the first eight hexadecimal digits of the
// key's SHA-256: enough to tell keys apart in logs and events, too little to
// recover one.
func (k *Key) Fingerprint() string { return k.fingerprint }

// InWindow reports whether t lies between the key's not-before and not-after.
func (k *Key) InWindow(t time.Time) bool {
	return (k.notBefore.IsZero() || !t.Before(k.notBefore)) && (k.notAfter.IsZero() || t.Before(k.notAfter))
}

// Window returns the key's not-before and not-after; zero times mean no limit.
func (k *Key) Window() Window { return Window{NotBefore: k.notBefore, NotAfter: k.notAfter} }

// String returns the name and the fingerprint, never the secret.
func (k *Key) String() string { return k.name + " (" + k.fingerprint + ")" }

func fingerprint(secret []byte) string {
	sum := sha256.Sum256(secret)
	return "sha256:" + hex.EncodeToString(sum[:4])
}

// mac is an HMAC whose key schedule is already computed (crypto/hmac keeps it
// across Reset), with room for its result, so that a verification allocates nothing.
type mac struct {
	h   hash.Hash
	sum [sha256.Size]byte
}

func newMAC(secret []byte) *mac {
	m := &mac{h: hmac.New(sha256.New, secret)}
	m.h.Reset()
	return m
}

// matches reports in constant time whether want is the HMAC of body.
func (k *Key) matches(body, want []byte) bool {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.h.Reset()
	m.h.Write(body) // a hash never returns an error
	return hmac.Equal(m.h.Sum(m.sum[:0]), want)
}
