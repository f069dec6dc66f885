// Package verify decides whether a callback was signed with one of a source's
// keys. Use it on the bytes of a request body exactly as they were received.
//
// A signature is accepted only if all of these hold:
//
//   - there is exactly one Elements-Webhook-Signature header value;
//   - after outer white space is trimmed, it begins with `sha256=`, in any case;
//   - what follows is the padded, canonical, standard base64 of 32 bytes;
//   - those bytes equal the HMAC-SHA-256 of the body under a configured key.
//
// The package is pure: it reads no clock, no file and no network, never returns or
// prints a key or the signature it expected, and imports the standard library only.
// Verify never looks inside the body. It cannot tell a replay from a first
// delivery: the platform signs neither time nor nonce, so repeats are caught by
// de-duplication, not here.
//
// OC: contract section 7, table (a) rows 23 to 27, table (b) rows 6 to 14.
package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// Header is the name of the header that carries the signature.
const Header = "Elements-Webhook-Signature"

// Reason says why a signature was refused. The empty Reason means accepted.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	// Missing: no header, or one without a value.
	Missing Reason = "missing"
	// Ambiguous: more than one header value.
	Ambiguous Reason = "ambiguous"
	// UnsupportedAlgorithm: a scheme other than sha256, such as sha1 or sha512.
	UnsupportedAlgorithm Reason = "unsupported_algorithm"
	// Malformed: no scheme, or not the padded canonical standard base64 of 32 bytes.
	Malformed Reason = "malformed"
	// Mismatch: well formed, but made with no configured key over these bytes.
	Mismatch Reason = "mismatch"
)

// Verdict is the outcome of one verification. The zero value is not a verdict;
// only Verify makes them.
type Verdict struct {
	// Key made the signature; nil unless Accepted.
	Key *Key
	// Reason is why the signature was refused; empty if Accepted.
	Reason Reason
}

// Accepted reports whether a configured key made the signature over these bytes.
func (v Verdict) Accepted() bool { return v.Key != nil }

// String returns `accepted by NAME (FINGERPRINT)` or `refused: REASON`.
func (v Verdict) String() string {
	if v.Accepted() {
		return "accepted by " + v.Key.String()
	}
	return "refused: " + string(v.Reason)
}

// ErrNoKeys is returned by New when it is given no key. A verifier without one
// could only refuse everything, which is never what was meant.
var ErrNoKeys = errors.New("a source needs at least one signature key")

// Verifier checks signatures against the keys of one source. It is immutable
// and safe for concurrent use.
type Verifier struct {
	keys []*Key
}

// New returns a verifier for the given keys, newest first: when two keys have the
// same bytes, the verdict names the first. It returns ErrNoKeys without a key.
func New(keys ...*Key) (*Verifier, error) {
	if len(keys) == 0 {
		return nil, ErrNoKeys
	}
	return &Verifier{keys: append([]*Key(nil), keys...)}, nil
}

// Keys returns the verifier's keys, newest first.
func (v *Verifier) Keys() []*Key { return append([]*Key(nil), v.keys...) }

// Verify judges the values of the signature header against body. It computes the
// HMAC under every key whatever the header says, so that neither the answer's
// time nor its work tells which key matched, or why none did.
func (v *Verifier) Verify(values []string, body []byte) Verdict {
	digest, reason := parse(values)
	var by *Key
	for _, k := range v.keys {
		if k.matches(body, digest[:]) && by == nil {
			by = k
		}
	}
	switch {
	case reason != "":
		return Verdict{Reason: reason}
	case by == nil:
		return Verdict{Reason: Mismatch}
	}
	return Verdict{Key: by}
}

// WellFormed reports whether the values of the signature header have the form that
// Verify asks for, whatever they sign.
func WellFormed(values []string) bool {
	_, reason := parse(values)
	return reason == ""
}

const scheme = "sha256"

// encodedLen is the length of the padded base64 of one digest.
const encodedLen = (sha256.Size + 2) / 3 * 4

// strict refuses set trailing bits, so that one digest has one encoding. It still
// skips line breaks, which is why parse looks at the length first: 44 characters
// with a line break among them decode to fewer than 32 bytes.
var strict = base64.StdEncoding.Strict()

// parse returns the digest that the header claims. On any reason the digest is
// worthless, but present, so that the work after it stays the same.
func parse(values []string) (digest [sha256.Size]byte, _ Reason) {
	if len(values) > 1 {
		return digest, Ambiguous
	}
	if len(values) == 0 {
		return digest, Missing
	}
	value := strings.Trim(values[0], " \t")
	if value == "" {
		return digest, Missing
	}
	// Only the first = is ours; the padding of the base64 is made of the same sign.
	name, encoded, found := strings.Cut(value, "=")
	switch {
	case !found || !isAlgorithm(name):
		return digest, Malformed
	case !strings.EqualFold(name, scheme):
		return digest, UnsupportedAlgorithm
	case len(encoded) != encodedLen:
		return digest, Malformed
	}
	var in [encodedLen]byte
	copy(in[:], encoded)
	var out [sha256.Size + 1]byte // the padding counts as a byte
	if n, err := strict.Decode(out[:], in[:]); err != nil || n != sha256.Size {
		return digest, Malformed
	}
	copy(digest[:], out[:])
	return digest, ""
}

// isAlgorithm tells the name of some algorithm from a digest without a scheme:
// names are short and of letters, digits and dashes.
func isAlgorithm(s string) bool {
	if s == "" || len(s) > 16 {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}
