package callback_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"receiver/internal/callback"
)

var grant = callback.Grant{Source: "crm", Object: "contact", Submission: "K7Q2"}

func TestATokenGivesItsGrant(t *testing.T) {
	tokens := newTokens(t, "0123456789abcdef")
	for _, g := range []callback.Grant{grant, {Source: "crm"}, {Source: "a", Object: "Ü/§", Submission: "\x00"}} {
		got, ok := tokens.Read(g.Source, tokens.Make(g))
		if !ok || got != g {
			t.Errorf("Read(Make(%+v)) = %+v, %v", g, got, ok)
		}
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	tokens := newTokens(t, "0123456789abcdef")
	token := tokens.Make(grant)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, source, token string }{
		{"of another source", "erp", token},
		{"by another secret", "crm", newTokens(t, "another secret of length").Make(grant)},
		{"empty", "crm", ""},
		{"cut", "crm", token[:len(token)-2]},
		{"longer", "crm", token + "AA"},
		{"no base64url", "crm", "+" + token[1:]},
		{"padded", "crm", token + "="},
		{"a MAC alone", "crm", base64.RawURLEncoding.EncodeToString(raw[:16])},
		{"its length spelt otherwise", "crm", base64.RawURLEncoding.EncodeToString(slices.Concat(raw[:16], []byte{0x84, 0x00}, raw[17:]))},
		{"a length one beyond the end", "crm", base64.RawURLEncoding.EncodeToString(append(raw[:16:16], 2, 'x'))},
		{"a length beyond the end", "crm", base64.RawURLEncoding.EncodeToString(append(raw[:16:16], 0xff, 0x01, 'x'))},
	} {
		if _, ok := tokens.Read(tt.source, tt.token); ok {
			t.Errorf("%s: Read = true, want false", tt.name)
		}
	}
}

func TestAnotherSubmissionsTokenDiffers(t *testing.T) {
	tokens := newTokens(t, "0123456789abcdef")
	other := grant
	other.Submission = "K7Q3"
	if a, b := tokens.Make(grant), tokens.Make(other); a == b {
		t.Errorf("two submissions share token %s", a)
	}
}

func TestShortTokenSecretsAreRefused(t *testing.T) {
	if _, err := callback.NewTokens([]byte("0123456789abcde")); err == nil {
		t.Error("NewTokens of 15 bytes: no error")
	}
}

// FuzzToken shows that only what Make makes is read.
func FuzzToken(f *testing.F) {
	tokens, err := callback.NewTokens([]byte("0123456789abcdef"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("crm", tokens.Make(grant))
	f.Add("crm", strings.Repeat("A", 40))
	f.Fuzz(func(t *testing.T, source, token string) {
		if g, ok := tokens.Read(source, token); ok && tokens.Make(g) != token {
			t.Errorf("Read(%q) = %+v, whose token is %q", token, g, tokens.Make(g))
		}
	})
}

func newTokens(t *testing.T, secret string) *callback.Tokens {
	t.Helper()
	tokens, err := callback.NewTokens([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}
