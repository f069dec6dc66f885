package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
}

// NewSecret returns the secret with this value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Bytes returns a copy of the value's bytes.
func (s Secret) Bytes() []byte { return []byte(s.Reveal()) }

// Empty says whether there is no value.
func (s Secret) Empty() bool { return s.value == nil }

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
