package encryption_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"

	"receiver/internal/encryption"
)

func x25519(tb testing.TB) (public, secret string) {
	tb.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		tb.Fatal(err)
	}
	return i.Recipient().String(), i.String()
}

func hybrid(tb testing.TB) (public, secret string) {
	tb.Helper()
	i, err := age.GenerateHybridIdentity()
	if err != nil {
		tb.Fatal(err)
	}
	return i.Recipient().String(), i.String()
}

// spoilt is a key with another last character, so that its check sum is wrong.
func spoilt(key string) string {
	last := "q"
	if strings.HasSuffix(key, last) {
		last = "p"
	}
	return key[:len(key)-1] + last
}

func mustNew(tb testing.TB, recipients []string, identities string) *encryption.Cipher {
	tb.Helper()
	v, err := encryption.New(recipients, identities)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func mustHide(tb testing.TB, v *encryption.Cipher, body []byte) []byte {
	tb.Helper()
	file, err := v.Encrypt(body)
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

func TestDecryptReturnsTheBody(t *testing.T) {
	a, secretA := x25519(t)
	b, secretB := x25519(t)
	p, secretP := hybrid(t)
	q, _ := hybrid(t)
	for _, test := range []struct {
		name       string
		recipients []string
		identities string
	}{
		{"one recipient", []string{a}, secretA},
		{"the second of two", []string{a, b}, secretB},
		{"an identity file with comments and several keys", []string{b}, "# made for a test\n" + secretA + "\n\n" + secretB + "\n"},
		{"post-quantum", []string{p}, secretP},
		{"two post-quantum", []string{q, p}, secretP},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := mustNew(t, test.recipients, test.identities)
			if !v.Encrypts() || !v.Decrypts() || !v.ReadsOwn() {
				t.Errorf("Hides, Reveals, ReadsOwn = %v, %v, %v, want all", v.Encrypts(), v.Decrypts(), v.ReadsOwn())
			}
			for _, body := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("0123456789abcdef"), 10_000)} {
				file := mustHide(t, v, body)
				if len(body) > 8 && bytes.Contains(file, body[:8]) {
					t.Errorf("Hide(%d bytes) holds the body in clear", len(body))
				}
				got, err := v.Decrypt(file)
				if err != nil || got == nil || !bytes.Equal(got, body) {
					t.Errorf("Reveal(Hide(%d bytes)) = %d bytes, %v, want them", len(body), len(got), err)
				}
				if again := mustHide(t, v, body); bytes.Equal(again, file) {
					t.Errorf("Hide(%d bytes) is the same file twice: equal bodies could be told", len(body))
				}
			}
		})
	}
}

func TestDecryptNamesItsFailure(t *testing.T) {
	mine, secret := x25519(t)
	other, otherSecret := x25519(t)
	file := mustHide(t, mustNew(t, []string{mine}, ""), []byte("body"))
	changed := bytes.Clone(file)
	changed[len(changed)-1] ^= 1
	for _, test := range []struct {
		name       string
		identities string
		file       []byte
		want       error
		says       string
	}{
		{"without an identity", "", file, encryption.ErrNoIdentity, "no identity is configured"},
		{"with another's", otherSecret, file, encryption.ErrOtherIdentity, "other keys than " + other},
		{"of a changed file", secret, changed, nil, "decrypting a body"},
		{"of a cut file", secret, file[:len(file)-1], nil, "decrypting a body"},
		{"of a file with something behind it", secret, append(bytes.Clone(file), 'x'), nil, "decrypting a body"},
		{"of what is no file", secret, []byte("{}"), nil, "decrypting a body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mustNew(t, nil, test.identities).Decrypt(test.file)
			if err == nil || got != nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("Reveal = %q, %v, want an error that says %q", got, err, test.says)
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Reveal = %v, want %v", err, test.want)
			}
			harmless := errors.Is(err, encryption.ErrNoIdentity) || errors.Is(err, encryption.ErrOtherIdentity)
			if test.want == nil && harmless {
				t.Errorf("Reveal = %v, want an error against the body", err)
			}
			if secret := test.identities; secret != "" && strings.Contains(err.Error(), secret) {
				t.Errorf("Reveal's error repeats the secret")
			}
		})
	}
}

func TestNewRefusesWhatItCannotUse(t *testing.T) {
	a, secret := x25519(t)
	p, _ := hybrid(t)
	for _, test := range []struct {
		name       string
		recipients []string
		identities string
		says       string
	}{
		{"a word", []string{"alice"}, "", `"alice" is not a recipient`},
		{"a wrong check sum", []string{spoilt(a)}, "", "is not a recipient"},
		{"capitals", []string{strings.ToUpper(a)}, "", "is not a recipient"},
		{"a key given twice", []string{a, a}, "", "is a duplicate"},
		{"a secret key in place of a public one", []string{secret}, "", "a secret key is not a recipient"},
		{"two kinds together", []string{a, p}, "", "cannot be used together"},
		{"a post-quantum key that is none", []string{"age1pq1qqqq"}, "", "is not a recipient"},
		{"an identity that is a public key", []string{a}, a, "not an age identity file"},
		{"an identity with a typing error", nil, secret[:len(secret)-1], "not an age identity file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := encryption.New(test.recipients, test.identities)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("New = %v, want an error that says %q", err, test.says)
			}
			if strings.Contains(err.Error(), secret[:len(secret)-1]) {
				t.Errorf("New's error repeats the secret")
			}
		})
	}
}

func TestNoRecipientEncryptsNothing(t *testing.T) {
	if file, err := new(encryption.Cipher).Encrypt([]byte("body")); err == nil {
		t.Errorf("Hide without recipients = %q, want an error", file)
	}
	_, secret := x25519(t)
	other, _ := x25519(t)
	if v := mustNew(t, []string{other}, secret); v.ReadsOwn() {
		t.Error("ReadsOwn with another's identity = true, want false")
	}
}

// FuzzDecrypt shows that no bytes of a store bring a panic, and that none but the file that
// was stored reveal its body.
func FuzzDecrypt(f *testing.F) {
	const public = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	v := mustNew(f, []string{identity.Recipient().String(), public}, identity.String())
	file := mustHide(f, v, []byte("body"))
	f.Add(file)
	f.Add([]byte("age-encryption.org/v1\n-> X25519 \n--- \n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := v.Decrypt(data); err == nil && !bytes.Equal(data, file) {
			t.Errorf("Reveal(%q) = %q, want an error: it was never hidden", data, got)
		}
	})
}

// FuzzNew shows that a text from a configuration is a recipient in one form only, and that
// none brings a panic.
func FuzzNew(f *testing.F) {
	f.Add("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "")
	f.Add("age1pq1", "AGE-SECRET-KEY-1")
	f.Fuzz(func(t *testing.T, recipient, identities string) {
		if _, err := encryption.New([]string{recipient}, identities); err == nil && strings.ToLower(recipient) != recipient {
			t.Errorf("New(%q) = nil, want an error: a recipient is of lower case", recipient)
		}
	})
}

// The costs of docs/performance.md, "Bodies encrypted at rest".
func BenchmarkEncrypt(b *testing.B) {
	a, _ := x25519(b)
	c, _ := x25519(b)
	p, _ := hybrid(b)
	for _, kind := range []struct {
		name       string
		recipients []string
	}{{"x25519", []string{a}}, {"2-x25519", []string{a, c}}, {"hybrid", []string{p}}} {
		v := mustNew(b, kind.recipients, "")
		for _, size := range []int{200, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, size), func(b *testing.B) {
				body := bytes.Repeat([]byte("x"), size)
				b.ReportAllocs()
				for b.Loop() {
					mustHide(b, v, body)
				}
				b.ReportMetric(float64(len(mustHide(b, v, body))-size), "bytes-more")
			})
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	a, secret := x25519(b)
	p, hybridSecret := hybrid(b)
	for _, kind := range []struct{ name, public, secret string }{{"x25519", a, secret}, {"hybrid", p, hybridSecret}} {
		b.Run(kind.name, func(b *testing.B) {
			v := mustNew(b, []string{kind.public}, kind.secret)
			file := mustHide(b, v, bytes.Repeat([]byte("x"), 200))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Decrypt(file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
