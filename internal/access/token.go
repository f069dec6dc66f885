// Package access decides which requests the private listener answers: it makes bearer tokens, keeps
// them as hashes in a file, and names the holder of a request's token. It knows neither HTTP nor
// NATS, and never keeps or returns a token that was made before.
//
// A token has 256 random bits, so its hash can be a fast one: a slow hash, as for passwords,
// makes guessing expensive where there is something to guess.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Scope is what a token opens. Scopes stand side by side: none includes another.
type Scope string

// The scopes.
const (
	// Submit is for jobs that are submitted over HTTP; no address asks for it so far.
	Submit Scope = "submit"
	// Read is how the receiver stands: readiness, metrics, sources.
	Read Scope = "read"
	// Audit is what was received and refused, and the sealed logs.
	Audit Scope = "audit"
	// Admin is what works with the keys.
	Admin Scope = "admin"
)

// Any is what every valid token has, whatever its scopes.
const Any Scope = "any"

// Scopes are all that a token can be given.
var Scopes = []Scope{Submit, Read, Audit, Admin}

// Prefix begins every token, so that scanners for secrets recognise it.
const Prefix = "rcv_"

const (
	randomBytes   = 32
	checksumBytes = 4
)

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Token is what is kept of a token.
type Token struct {
	Name string `json:"name"`
	// SHA256 is the digest of the whole token, prefix included, in hexadecimal.
	SHA256 string  `json:"sha256"`
	Scopes []Scope `json:"scopes"`
	// Made is when it was made, and Expires when it ends; zero means never.
	Made    time.Time `json:"made,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// New makes a token. It returns the token itself, which is kept nowhere, and what is.
func New(name string, scopes []Scope, made, expires time.Time) (secret string, t Token, err error) {
	var random [randomBytes + checksumBytes]byte
	_, _ = rand.Read(random[:randomBytes]) // never returns an error
	binary.BigEndian.PutUint32(random[randomBytes:], crc32.ChecksumIEEE(random[:randomBytes]))
	secret = Prefix + letters.EncodeToString(random[:])
	sum := sha256.Sum256([]byte(secret))
	t = Token{Name: name, SHA256: hex.EncodeToString(sum[:]), Scopes: scopes, Made: made, Expires: expires}
	return secret, t, t.check()
}

// Expiry is the end of a token that is made now, from how long it is valid, such as 12h or 90d;
// empty means for ever.
func Expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 36500)) * 24 * time.Hour
	}
	if err != nil || d < time.Second {
		return time.Time{}, fmt.Errorf("%q is not a duration, such as 12h or 90d", text)
	}
	return now.Add(d), nil
}

// WellFormed reports whether a text has the form of a token that New made: its prefix, its
// length, and a checksum that fits.
func WellFormed(secret string) bool {
	text, ok := strings.CutPrefix(secret, Prefix)
	raw, err := letters.DecodeString(text)
	if !ok || err != nil || len(raw) != randomBytes+checksumBytes || letters.EncodeToString(raw) != text {
		return false
	}
	return binary.BigEndian.Uint32(raw[randomBytes:]) == crc32.ChecksumIEEE(raw[:randomBytes])
}

// Expired reports whether the token has ended.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// Names of holders that are no token of the file.
const (
	// ConfigName is the name of the holder of private.token.
	ConfigName = "config"
	// FolderName is the name of the holder of requests through the socket in the store's folder.
	FolderName = "folder"
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// check says what is wrong with an entry. It repeats no digest.
func (t Token) check() error {
	sum, err := hex.DecodeString(t.SHA256)
	switch {
	case !nameForm.MatchString(t.Name):
		return fmt.Errorf("token name %q is not 1 to 32 of a-z 0-9 -, not beginning with -", t.Name)
	case t.Name == ConfigName || t.Name == FolderName:
		return fmt.Errorf("token name %q is reserved", t.Name)
	case err != nil || len(sum) != sha256.Size:
		return fmt.Errorf("token %s: sha256 is not 64 hexadecimal digits", t.Name)
	case len(t.Scopes) == 0:
		return fmt.Errorf("token %s has no scope; scopes: %s", t.Name, list(Scopes))
	}
	for i, s := range t.Scopes {
		if !slices.Contains(Scopes, s) {
			return fmt.Errorf("token %s: unknown scope %q; scopes: %s", t.Name, s, list(Scopes))
		}
		if slices.Contains(t.Scopes[:i], s) {
			return fmt.Errorf("token %s has the scope %s twice", t.Name, s)
		}
	}
	return nil
}

// Most is how many tokens there may be.
const Most = 100

func check(tokens []Token) error {
	var errs []error
	if len(tokens) > Most {
		errs = append(errs, fmt.Errorf("there are %d tokens, more than %d", len(tokens), Most))
	}
	names, sums := map[string]bool{}, map[string]bool{}
	for _, t := range tokens {
		errs = append(errs, t.check())
		if names[t.Name] || sums[strings.ToLower(t.SHA256)] {
			errs = append(errs, fmt.Errorf("token %s is a duplicate", t.Name))
		}
		names[t.Name], sums[strings.ToLower(t.SHA256)] = true, true
	}
	return errors.Join(errs...)
}

func list(scopes []Scope) string {
	var text []string
	for _, s := range scopes {
		text = append(text, string(s))
	}
	return strings.Join(text, ", ")
}
