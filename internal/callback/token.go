package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
)

// MinTokenSecret is the shortest secret, in bytes, that tokens are made with.
const MinTokenSecret = 16

// Grant is what a token speaks for: callbacks about one submission, of one object,
// from one source.
type Grant struct {
	Source, Object, Submission string
}

// Tokens makes and reads the tokens at the end of a job's own callback address. The signature
// covers the body only and binds it to no address (contract section 7, "replay"); the token adds
// that binding, without any state: it is a MAC by our own secret over the grant, and carries what
// the grant says.
//
// A Tokens is safe for concurrent use.
type Tokens struct {
	secret []byte
}

// NewTokens returns the maker and reader for a secret, which all replicas share. It
// refuses one of less than MinTokenSecret bytes.
func NewTokens(secret []byte) (*Tokens, error) {
	if len(secret) < MinTokenSecret {
		return nil, errors.New("the token secret is too short: give at least 16 bytes, such as the output of `openssl rand -base64 24`")
	}
	return &Tokens{secret: append([]byte(nil), secret...)}, nil
}

// macLen is the length of the MAC in a token: 128 bits, as no one can try more than
// a few.
const macLen = 16

// Make returns the token of a grant: letters, digits, `-` and `_`.
func (t *Tokens) Make(g Grant) string {
	token := t.mac(g)[:macLen:macLen]
	token = appendField(token, g.Submission)
	token = append(token, g.Object...)
	return base64.RawURLEncoding.EncodeToString(token)
}

// Read returns the grant of a token that was given to a source's callbacks, and whether
// the token is one that Make made for that source.
func (t *Tokens) Read(source, token string) (Grant, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < macLen {
		return Grant{}, false
	}
	rest := raw[macLen:]
	n, used := binary.Uvarint(rest)
	if used <= 0 || n > uint64(len(rest)-used) {
		return Grant{}, false
	}
	rest = rest[used:]
	g := Grant{Source: source, Submission: string(rest[:n]), Object: string(rest[n:])}
	// Compared whole, so that a grant has one token and no other spelling of it.
	return g, hmac.Equal([]byte(token), []byte(t.Make(g)))
}

func (t *Tokens) mac(g Grant) []byte {
	h := hmac.New(sha256.New, t.secret)
	for _, field := range []string{"receiver callback token 1", g.Source, g.Submission, g.Object} {
		writeField(h, field)
	}
	return h.Sum(nil)
}

// writeField writes a field behind its length, so that no two grants are one message.
func writeField(h hash.Hash, s string) { h.Write(appendField(nil, s)) }

func appendField(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
