package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

const (
	envReference  = "env:"
	fileReference = "file:"
	// maxSecret bounds a secret file, so that a wrong path such as a device
	// ends in a fault.
	maxSecret = 64 << 10
	// OC: (a) row 25, section 7: the platform stores at most 128 characters.
	maxPlatformKey = 128

	secretAllowed = "the secret itself, env:NAME or file:PATH"
)

var (
	variable    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	fingerprint = regexp.MustCompile(`^sha256:[0-9a-f]{8}$`)
)

// A problem is a fault whose place is not yet known.
type problem struct{ wrong, allowed string }

// secret follows the reference in text, if it is one. Empty text is the empty
// secret; a reference that leads to nothing is a problem, and so is a flaw, unless the secret
// is ours alone.
func (l *loader) secret(text string, ours bool) (Secret, *problem) {
	reference, quoted := strings.CutPrefix(text, quotedMark)
	value, p := l.follow(reference)
	found := flawOf(value)
	switch {
	case p != nil:
		return Secret{}, p
	case text == "":
		return Secret{}, nil
	case value == "":
		return Secret{}, &problem{"the secret it refers to is empty", "a secret of at least one byte"}
	case strings.TrimSpace(value) == "":
		return Secret{}, &problem{"the secret is only white space", secretAllowed}
	case fingerprint.MatchString(value):
		return Secret{}, &problem{"this is the fingerprint of a secret, as printed by config print", secretAllowed}
	case found.wrong != "" && !ours && !(found.quotes && quoted):
		return Secret{}, &problem{placeOf(reference) + " " + found.wrong, found.allowed()}
	case quoted && !found.quotes:
		return Secret{}, &problem{quotedMark + " says that quotes are part of the secret, but it has no quotes around it", secretAllowed}
	}
	return NewSecret(value), nil
}

// placeOf names what a secret was read from, without repeating one that stands for itself.
func placeOf(reference string) string {
	if name, ok := strings.CutPrefix(reference, envReference); ok {
		return "environment variable " + name
	}
	if path, ok := strings.CutPrefix(reference, fileReference); ok {
		return fmt.Sprintf("secret file %q", path)
	}
	return "the secret"
}

func (l *loader) follow(text string) (string, *problem) {
	if name, ok := strings.CutPrefix(text, envReference); ok {
		return l.fromEnv(name)
	}
	if path, ok := strings.CutPrefix(text, fileReference); ok {
		return l.fromFile(path)
	}
	return text, nil
}

func (l *loader) fromEnv(name string) (string, *problem) {
	if !variable.MatchString(name) {
		// Not quoted: the text may be the secret itself.
		return "", &problem{"the text after env: is not the name of a variable", "env:NAME"}
	}
	value, ok := l.env[name]
	if !ok {
		return "", &problem{fmt.Sprintf("environment variable %s is not set", name), secretAllowed}
	}
	return value, nil
}

func (l *loader) fromFile(path string) (string, *problem) {
	if path == "" {
		return "", &problem{"file: has no file name", "file:PATH"}
	}
	l.files = append(l.files, resolve(l.dir, path))
	value, err := readBounded(resolve(l.dir, path), maxSecret)
	if err != nil {
		return "", &problem{fmt.Sprintf("secret file %q cannot be read: %v", path, err),
			"file:PATH of a readable file; a relative path starts at the folder of the configuration"}
	}
	return trimNewline(string(value)), nil
}

// trimNewline removes one trailing newline, as editors and echo add it, and
// nothing else: any other byte may belong to the key. OC: (b) row 13.
func trimNewline(s string) string {
	if rest, ok := strings.CutSuffix(s, "\r\n"); ok {
		return rest
	}
	return strings.TrimSuffix(s, "\n")
}

// readBounded reads a whole file of at most limit bytes. Its errors do not
// repeat the path.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, cause(err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("it is larger than %v", ByteSize(limit))
	}
	return b, nil
}

func cause(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
