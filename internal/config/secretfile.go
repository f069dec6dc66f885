package config

import (
	"errors"
	"fmt"
	"strings"
)

// ErrFlawed is returned by ReadSecretFile, beside the secret, for one whose file contains bytes
// that are not intended, such as a byte order mark. A configuration with it is not loaded. The
// error's text says what is there and how to write the file.
var ErrFlawed = errors.New("not usable as a secret")

// ReadSecretFile reads a secret from a file as a file: reference would: whole, but
// for exactly one trailing newline, and with quoted: in front of the path where quotes
// belong to it. An empty secret is an error.
func ReadSecretFile(path string) (Secret, error) {
	path, quoted := strings.CutPrefix(path, quotedMark)
	value, err := readBounded(path, maxSecret)
	if err != nil {
		return Secret{}, fmt.Errorf("secret file %q cannot be read: %w", path, err)
	}
	text := trimNewline(string(value))
	if text == "" {
		return Secret{}, fmt.Errorf("secret file %q is empty", path)
	}
	if f := flawOf(text); f.wrong != "" && !(f.quotes && quoted) {
		return NewSecret(text), fmt.Errorf("secret file %q is %w: it %s; allowed: %s", path, ErrFlawed, f.wrong, f.allowed())
	}
	return NewSecret(text), nil
}
