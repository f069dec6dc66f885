package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"unicode/utf8"
)

// fileFault records what is wrong with the content of a file. A running program keeps what it
// read before: of a source that is in Before, and anything else no reload puts into force.
func (l *loader) fileFault(c *Config, path, wrong, allowed string) {
	if l.lazy && serverOnly(c, path) {
		return
	}
	ofSource, source := strings.CutPrefix(path, sourcesKey+".")
	name, _, _ := strings.Cut(ofSource, ".")
	if l.before == nil || source && l.kept(c, name) == nil {
		l.fault(path, wrong, allowed)
		return
	}
	l.warn(path, wrong+"; the previous file stays in use, but no receiver starts with this one; allowed: "+allowed)
}

// serverOnly reports whether only a server, or a command that says so itself, reads the file of a
// setting.
func serverOnly(c *Config, path string) bool {
	return strings.HasPrefix(path, "public.") || strings.HasPrefix(path, "private.") || strings.HasPrefix(path, "audit.") ||
		strings.HasPrefix(path, "nats.") && c.NATS.Embeds()
}

// kept returns the authorities of a source that were read of the same file before.
func (l *loader) kept(c *Config, name string) []byte {
	if l.before == nil || l.before.Sources[name].TLS.CAFile != c.Sources[name].TLS.CAFile {
		return nil
	}
	return l.before.Sources[name].TLS.Authorities
}

// checkAuthorities returns the contents of a file of certificates, and nothing of any other file.
func (l *loader) checkAuthorities(c *Config, path string, file Path) []byte {
	text, ok := l.checkReadable(c, path, file)
	if ok && !x509.NewCertPool().AppendCertsFromPEM(text) {
		l.fileFault(c, path, "contains no certificate", "a PEM file with -----BEGIN CERTIFICATE-----")
		return nil
	}
	return text
}

func (l *loader) checkPair(c *Config, at string, t TLS) {
	switch {
	case t.CertFile == "" && t.KeyFile == "":
		return
	case t.KeyFile == "":
		l.fault(at+"key_file", "is empty, but "+at+"cert_file is set", "both or neither")
		return
	case t.CertFile == "":
		l.fault(at+"cert_file", "is empty, but "+at+"key_file is set", "both or neither")
		return
	}
	_, cert := l.checkReadable(c, at+"cert_file", t.CertFile)
	text, key := l.checkReadable(c, at+"key_file", t.KeyFile)
	if !cert || !key {
		return
	}
	if bytes.Contains(text, []byte("ENCRYPTED")) {
		l.fileFault(c, at+"key_file", "is encrypted with a passphrase", "the unencrypted key, as written by `openssl pkey`, in a file that only its owner can read")
		return
	}
	if _, err := tls.LoadX509KeyPair(c.Abs(t.CertFile), c.Abs(t.KeyFile)); err != nil {
		l.fileFault(c, at+"cert_file", "does not work with "+at+"key_file: "+err.Error(), "a PEM certificate, followed by those of its authorities, and its private key")
	}
}

// checkReadable returns what is in a file, and whether it can be used; no file named is no fault.
func (l *loader) checkReadable(c *Config, path string, file Path) ([]byte, bool) {
	if file == "" {
		return nil, false
	}
	l.looked = append(l.looked, c.Abs(file))
	text, err := readBounded(c.Abs(file), maxFile)
	if err != nil {
		l.fileFault(c, path, fmt.Sprintf("%q cannot be read: %v", string(file), err),
			"a readable file; a relative path starts at the folder of the configuration")
		return nil, false
	}
	if f := flawOf(string(text)); f.wrong != "" && (!utf8.Valid(text) || bytes.Contains(text, []byte{0})) {
		l.fileFault(c, path, fmt.Sprintf("%q %s", string(file), f.wrong), "the unchanged file, in ASCII or UTF-8; certificates in PEM, not in DER")
		return nil, false
	}
	return text, true
}
