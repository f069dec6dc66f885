package config

import "fmt"

// ReadSecretFile reads a secret from a file as a file: reference would: whole, but
// for exactly one trailing newline. An empty secret is an error.
func ReadSecretFile(path string) (Secret, error) {
	value, err := readBounded(path, maxSecret)
	if err != nil {
		return Secret{}, fmt.Errorf("secret file %q cannot be read: %w", path, err)
	}
	text := trimNewline(string(value))
	if text == "" {
		return Secret{}, fmt.Errorf("secret file %q is empty", path)
	}
	return NewSecret(text), nil
}
