// Package encryption encrypts bodies before they are stored, and decrypts them with an identity:
// the format is age v1 (https://age-encryption.org/v1), so that any age implementation can read
// them. It is the only package that imports age.
//
// Encrypting needs public keys only: a stolen machine or store of a receiver reveals no body. The
// package does not decide which bodies are encrypted, knows neither streams nor headers, and never
// stores in clear instead: a body that cannot be encrypted is an error.
package encryption

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
)

// The errors of Decrypt that say nothing against the body.
var (
	// ErrNoIdentity: there is no identity to decrypt with.
	ErrNoIdentity = errors.New("no identity is configured to decrypt it")
	// ErrOtherIdentity: it was encrypted to other keys than the identities that there are.
	ErrOtherIdentity = errors.New("it is encrypted to other keys")
)

// Cipher encrypts to recipients and decrypts with identities. It is safe for concurrent use;
// the zero Cipher does neither.
type Cipher struct {
	recipients []age.Recipient
	to         []string // the recipients' public keys
	identities []age.Identity
	of         []string // the identities' public keys
}

// New returns a cipher for recipients, public keys of age (`age1…`, or `age1pq1…` against
// quantum computers), and identities, the text of an age identity file: one secret key on a
// line, empty lines and comments behind # ignored. Either may be empty. An error repeats no
// secret, and of the recipients only what is none.
func New(recipients []string, identities string) (*Cipher, error) {
	v := &Cipher{to: slices.Clone(recipients)}
	for i, text := range recipients {
		if slices.Contains(recipients[:i], text) {
			return nil, fmt.Errorf("recipient %s is a duplicate", text)
		}
		r, err := recipient(text)
		if err != nil {
			return nil, err
		}
		v.recipients = append(v.recipients, r)
	}
	if v.Encrypts() {
		// That two kinds of keys do not go together is found out by using them.
		if _, err := v.Encrypt(nil); err != nil {
			return nil, fmt.Errorf("these recipients cannot be used together: %w; age1… and age1pq1… cannot be mixed, "+
				"since the weaker would give away what the stronger keeps", err)
		}
	}
	return v, v.setIdentities(identities)
}

// ErrRecipient is in the error of New for a text that is not a recipient.
var ErrRecipient = errors.New("is not a recipient")

func recipient(text string) (age.Recipient, error) {
	switch {
	case strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-"):
		// Not repeated: it is a secret.
		return nil, fmt.Errorf("a secret key %w: give its public key, from `age-keygen -y`", ErrRecipient)
	case strings.HasPrefix(text, "age1pq1"):
		r, err := age.ParseHybridRecipient(text)
		if err != nil {
			return nil, fmt.Errorf("%.80q %w: %v", text, ErrRecipient, err)
		}
		return r, nil
	}
	r, err := age.ParseX25519Recipient(text)
	if err != nil {
		return nil, fmt.Errorf("%.80q %w: %v", text, ErrRecipient, err)
	}
	return r, nil
}

func (v *Cipher) setIdentities(text string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	identities, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		// The library's error may quote a line, and the line is a secret.
		return errors.New("the identity is not an age identity file: one AGE-SECRET-KEY-… on each line, as written by `age-keygen`")
	}
	v.identities = identities
	for _, identity := range identities {
		switch i := identity.(type) {
		case *age.X25519Identity:
			v.of = append(v.of, i.Recipient().String())
		case *age.HybridIdentity:
			v.of = append(v.of, i.Recipient().String())
		}
	}
	return nil
}

// Encrypts reports whether there are recipients, so that Hide encrypts.
func (v *Cipher) Encrypts() bool { return len(v.recipients) > 0 }

// Decrypts reports whether there is an identity to decrypt with.
func (v *Cipher) Decrypts() bool { return len(v.identities) > 0 }

// ReadsOwn reports whether an identity is one of the recipients': what is encrypted from now
// on can be read here.
func (v *Cipher) ReadsOwn() bool {
	return slices.ContainsFunc(v.of, func(key string) bool { return slices.Contains(v.to, key) })
}

// overhead is about what age puts around a body for one recipient and for each more.
const (
	overhead     = 256
	perRecipient = 128
)

// Encrypt returns the body encrypted to all recipients, as an age file: each time another one.
func (v *Cipher) Encrypt(body []byte) ([]byte, error) {
	if !v.Encrypts() {
		return nil, errors.New("encrypting a body: no recipient is configured")
	}
	var file bytes.Buffer
	file.Grow(len(body) + overhead + perRecipient*len(v.recipients))
	w, err := age.Encrypt(&file, v.recipients...)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypting a body: %w", err)
	}
	return file.Bytes(), nil
}

// Decrypt undoes Hide; the result is never nil. Its error is ErrNoIdentity, ErrOtherIdentity,
// which names the identities that were tried, or says that the file is damaged or is none.
func (v *Cipher) Decrypt(file []byte) ([]byte, error) {
	if !v.Decrypts() {
		return nil, ErrNoIdentity
	}
	r, err := age.Decrypt(bytes.NewReader(file), v.identities...)
	if other := new(age.NoIdentityMatchError); errors.As(err, &other) {
		return nil, fmt.Errorf("%w than %s", ErrOtherIdentity, strings.Join(v.short(), ", "))
	}
	body := make([]byte, 0, len(file))
	if err == nil {
		b := bytes.NewBuffer(body)
		_, err = io.Copy(b, r)
		body = b.Bytes()
	}
	if err != nil {
		return nil, fmt.Errorf("decrypting a body: %w", err)
	}
	return body, nil
}

// short returns the public keys of the identities, cut where they are long: post-quantum
// ones have 2,000 characters.
func (v *Cipher) short() []string {
	const most = 80
	all := make([]string, 0, len(v.of))
	for _, key := range v.of {
		if len(key) > most {
			key = key[:most] + "…"
		}
		all = append(all, key)
	}
	return all
}
