package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Secret is a value that shows only its fingerprint, however it is printed or
// marshalled. The zero Secret is empty. Use Reveal or Bytes at the last moment,
// where the value leaves for the wire or a MAC. Compare secrets by what those
// return, not with ==.
type Secret struct {
	// A pointer, because fmt prints the unexported fields of foreign structs
	// without asking their methods: it then prints an address.
	value *string
	// wrong is why there is no value although one is configured; only of Options.Lazy.
	wrong error
}

// NewSecret returns the secret with this value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Usable returns why secrets that are configured cannot be read, all of them, as a UseError; nil if
// each has its value or is not configured. Ask it before a secret of a configuration that was
// loaded with [Options.Lazy] is revealed.
func Usable(secrets ...Secret) error {
	var wrong []error
	for _, s := range secrets {
		wrong = append(wrong, s.wrong)
	}
	if err := errors.Join(wrong...); err != nil {
		return UseErrorf("a secret that this needs cannot be read:\n%w", err)
	}
	return nil
}

// Reveal returns the value itself; nothing if it is not Usable, which no key and no token is.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Bytes returns a copy of the value's bytes.
func (s Secret) Bytes() []byte { return []byte(s.Reveal()) }

// Empty says whether none is configured. One that is not Usable is not empty.
func (s Secret) Empty() bool { return s.value == nil && s.wrong == nil }

// Fingerprint returns "sha256:" and the first 8 hex digits of the SHA-256 of
// the value's bytes, or "" for an empty secret. It tells secrets apart and
// proves nothing: a short value can be guessed from it.
func (s Secret) Fingerprint() string {
	if s.value == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(*s.value))
	return "sha256:" + hex.EncodeToString(sum[:4])
}

// String returns the fingerprint.
func (s Secret) String() string { return s.Fingerprint() }

// GoString returns the fingerprint.
func (s Secret) GoString() string { return s.Fingerprint() }

// Format writes the fingerprint for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.Fingerprint()) }

// MarshalJSON returns the fingerprint as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.Fingerprint()) }

// MarshalYAML returns the fingerprint.
func (s Secret) MarshalYAML() (any, error) { return s.Fingerprint(), nil }
