// Package logkey is the secret key that signs the logs of a receiver. Code that only checks
// evidence never imports it.
package logkey

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
)

// algEd25519 is the signature type of plain Ed25519 notes. C2SP: signed-note.
const algEd25519 = 1

// ErrKey is returned for a text that is no log key. Make one with GenerateKey.
var ErrKey = errors.New("malformed log key")

// Key is the Ed25519 key of a receiver's logs. One key serves all its logs: the origin is
// part of what is signed. It prints as its name only.
type Key struct {
	name string
	seed []byte
}

// Generate makes a key for the receiver called name ("receiver/" and that name become
// the key's name). The error is ErrKey for a name with a space or a plus.
func Generate(name string) (Key, error) {
	secret, _, err := note.GenerateKey(rand.Reader, "receiver/"+name)
	if err != nil {
		return Key{}, fmt.Errorf("generating log key: %w", err)
	}
	return Parse(secret)
}

// Parse reads the text that Secret returned: exactly that, without a newline.
func Parse(secret string) (Key, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return Key{}, ErrKey // the cause may quote the secret
	}
	parts := strings.SplitN(secret, "+", 5) // the base64 may hold a plus, the name cannot
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil {
		return Key{}, ErrKey
	}
	return Key{name: signer.Name(), seed: raw[1:]}, nil
}

// Secret returns the text to keep secret, in the form of a note signer key.
func (k Key) Secret() string { return k.encode(k.name) }

// Write writes the secret into a new file that only its owner may read. It never overwrites one.
func (k Key) Write(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists, and a key is never overwritten: its logs could not be continued; name another file", path)
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", path, err)
	}
	_, err = file.WriteString(k.Secret() + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Signer returns the signer of the log with this origin; its name is the origin.
func (k Key) Signer(origin string) (note.Signer, error) {
	signer, err := note.NewSigner(k.encode(origin))
	if err != nil {
		return nil, fmt.Errorf("signer for origin %q: %w", origin, ErrKey)
	}
	return signer, nil
}

// VerifierKey returns the public key of the log with this origin as C2SP vkey text. It is
// what people who check evidence must be given, by a way that they trust.
func (k Key) VerifierKey(origin string) string {
	return audit.FormatVerifierKey(origin, algEd25519, k.public())
}

// String hides the secret.
func (k Key) String() string { return "log key " + k.name }

// GoString hides the secret.
func (k Key) GoString() string { return k.String() }

func (k Key) public() ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(k.seed).Public().(ed25519.PublicKey)
}

func (k Key) encode(name string) string {
	hash := audit.KeyHash(name, algEd25519, k.public())
	raw := append([]byte{algEd25519}, k.seed...)
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, hash, base64.StdEncoding.EncodeToString(raw))
}
