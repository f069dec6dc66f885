package verify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"receiver/internal/verify"
)

type vector struct {
	Name     string   `json:"name"`
	Key      string   `json:"key"`
	Body     []byte   `json:"body_base64"`
	Headers  []string `json:"signature_headers"`
	Accepted bool     `json:"accepted"`
	Reason   string   `json:"reason"`
}

// The first vector is the one that the platform's own Hash Verification page prints.
func TestVectors(t *testing.T) {
	vectors := readVectors(t)
	if len(vectors) != 28 {
		t.Fatalf("read %d vectors, want all 28", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			key := newKey(t, "k", v.Key)
			got := newVerifier(t, key).Verify(v.Headers, v.Body)
			if got.Accepted() != v.Accepted || string(got.Reason) != v.Reason {
				t.Fatalf("Verify = %v, want accepted=%v reason=%q", got, v.Accepted, v.Reason)
			}
			if v.Accepted && got.Key != key {
				t.Errorf("Key = %v, want %v", got.Key, key)
			}
		})
	}
}

// A header is well formed exactly when Verify has nothing to find fault with but the
// digest in it.
func TestWellFormed(t *testing.T) {
	right := "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ="
	for _, tt := range []struct {
		name   string
		values []string
		want   bool
	}{
		{"the published signature", []string{right}, true},
		{"another digest", []string{"sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, true},
		{"none", nil, false},
		{"two", []string{right, right}, false},
		{"another algorithm", []string{"sha1=2ft3EQbtnGuxCM39AvbPeLh1Vbs="}, false},
		{"hexadecimal", []string{"sha256=8c775b471e44640b0e7d3c003c938690d53340c55576ee55265c5cb24f86ea34"}, false},
	} {
		if got := verify.WellFormed(tt.values); got != tt.want {
			t.Errorf("%s: WellFormed(%q) = %v, want %v", tt.name, tt.values, got, tt.want)
		}
	}
}

// The text before the first = is the name of an algorithm if it has 1 to 16 letters, digits and
// dashes.
func TestTheReasonTellsAnotherAlgorithmFromNone(t *testing.T) {
	v := newVerifier(t, newKey(t, "k", "secret"))
	for want, names := range map[verify.Reason][]string{
		verify.UnsupportedAlgorithm: {"a", "z", "A", "Z", "0", "9", "-", "sha-512", "abcdefghijklmnop"},
		verify.Malformed:            {"", "`", "{", "@", "[", "/", ":", "_", "é", "abcdefghijklmnopq"},
	} {
		for _, name := range names {
			if got := v.Verify([]string{name + "=AAAA"}, nil).Reason; got != want {
				t.Errorf("Verify(%q) = %s, want %s", name+"=AAAA", got, want)
			}
		}
	}
}

func TestVerdictNamesTheKeyThatMatched(t *testing.T) {
	older, newer := newKey(t, "2025", "older key"), newKey(t, "2026", "newer key")
	v := newVerifier(t, newer, older)
	body := []byte(`{"id":"1"}`)
	for _, tt := range []struct {
		name, secret string
		want         *verify.Key
	}{
		{"current", "newer key", newer},
		{"previous", "older key", older},
		{"stranger", "no such key", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := v.Verify([]string{sign(tt.secret, body)}, body).Key; got != tt.want {
				t.Errorf("Verify by %s: key = %v, want %v", tt.name, got, tt.want)
			}
		})
	}
}

func TestOneKeyTwiceIsNamedByTheFirst(t *testing.T) {
	first, second := newKey(t, "first", "same"), newKey(t, "second", "same")
	if got := newVerifier(t, first, second).Verify([]string{sign("same", nil)}, nil).Key; got != first {
		t.Errorf("key = %v, want %v", got, first)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	for _, secret := range []string{"", " ", "\n", "\t \r\n", "\u00a0"} {
		if _, err := verify.NewKey("k", []byte(secret), verify.Window{}); !errors.Is(err, verify.ErrEmptyKey) {
			t.Errorf("NewKey(%q) error = %v, want ErrEmptyKey", secret, err)
		}
	}
	if _, err := verify.New(); !errors.Is(err, verify.ErrNoKeys) {
		t.Errorf("New() error = %v, want ErrNoKeys", err)
	}
}

func TestKeyBytesAreTakenAsTheyAre(t *testing.T) {
	for _, secret := range []string{" padded ", "line\n", "\xff\xfe", "bW9yZQ==", strings.Repeat("x", 1000)} {
		body := []byte("body")
		if got := newVerifier(t, newKey(t, "k", secret)).Verify([]string{sign(secret, body)}, body); !got.Accepted() {
			t.Errorf("key %q: %v, want accepted", secret, got)
		}
	}
}

func TestNewKeyKeepsItsOwnCopy(t *testing.T) {
	secret := []byte("secret")
	k, err := verify.NewKey("k", secret, verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	if got := newVerifier(t, k).Verify([]string{sign("secret", nil)}, nil); !got.Accepted() {
		t.Errorf("after the caller wiped its copy: %v, want accepted", got)
	}
}

func TestWindow(t *testing.T) {
	from, to := time.Unix(100, 0), time.Unix(200, 0)
	both := verify.Window{NotBefore: from, NotAfter: to}
	for _, tt := range []struct {
		name   string
		window verify.Window
		at     int64
		want   bool
	}{
		{"no limits", verify.Window{}, 0, true},
		{"too early", both, 99, false},
		{"first moment", both, 100, true},
		{"last moment", both, 199, true},
		{"too late", both, 200, false},
	} {
		k, err := verify.NewKey("k", []byte("x"), tt.window)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.InWindow(time.Unix(tt.at, 0)); got != tt.want {
			t.Errorf("%s: InWindow = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestNothingPrintsTheSecretOrTheExpectedSignature(t *testing.T) {
	const secret = "MySecretEventSignatureKey"
	body := []byte("body")
	k := newKey(t, "k", secret)
	v := newVerifier(t, k)
	verdict := v.Verify([]string{sign("other", body)}, body)
	for _, text := range []string{
		fmt.Sprintf("%v %+v %s", k, k, k), fmt.Sprintf("%v %s", verdict, verdict),
	} {
		if strings.Contains(text, secret) || strings.Contains(text, strings.TrimPrefix(sign(secret, body), "sha256=")) {
			t.Errorf("%q gives a secret away", text)
		}
	}
	if got, want := k.Fingerprint(), "sha256:"+fmt.Sprintf("%x", sha256.Sum256([]byte(secret)))[:8]; got != want {
		t.Errorf("Fingerprint = %s, want %s", got, want)
	}
}

func TestVerifyConcurrently(t *testing.T) {
	v := newVerifier(t, newKey(t, "a", "a"), newKey(t, "b", "b"))
	done := make(chan string)
	for i := range 8 {
		go func() {
			body := fmt.Appendf(nil, "body %d", i)
			for range 200 {
				if got := v.Verify([]string{sign("b", body)}, body); !got.Accepted() {
					done <- got.String()
					return
				}
			}
			done <- ""
		}()
	}
	for range 8 {
		if bad := <-done; bad != "" {
			t.Errorf("Verify among others = %s, want accepted", bad)
		}
	}
}

// FuzzVerify shows that nothing panics and that a header passes only if, after the
// one tolerance, it is letter for letter the header that the key makes.
func FuzzVerify(f *testing.F) {
	for _, v := range readVectors(f) {
		header := ""
		if len(v.Headers) > 0 {
			header = v.Headers[0]
		}
		f.Add(header, v.Body)
	}
	const secret = "MySecretEventSignatureKey"
	verifier := newVerifier(f, newKey(f, "k", secret))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		want := sign(secret, body)
		if !verifier.Verify([]string{want}, body).Accepted() {
			t.Fatal("the right signature was refused")
		}
		got := verifier.Verify([]string{header}, body)
		if got.Accepted() == (got.Reason != "") {
			t.Fatalf("verdict %+v is neither accepted nor refused", got)
		}
		if got.Accepted() {
			trimmed := strings.Trim(header, " \t")
			scheme, digest, _ := strings.Cut(trimmed, "=")
			if !strings.EqualFold(scheme, "sha256") || "sha256="+digest != want {
				t.Fatalf("accepted %q, want only %q", header, want)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	body := []byte(strings.Repeat("x", 246))
	v := newVerifier(b, newKey(b, "k", "MySecretEventSignatureKey"))
	for _, bb := range []struct{ name, header string }{
		{"accepted", sign("MySecretEventSignatureKey", body)},
		{"mismatch", sign("another", body)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			values := []string{bb.header}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				v.Verify(values, body)
			}
		})
	}
	// The baseline: the hash alone, with its key schedule ready.
	b.Run("hash alone", func(b *testing.B) {
		h := hmac.New(sha256.New, []byte("MySecretEventSignatureKey"))
		var sum [sha256.Size]byte
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			h.Reset()
			h.Write(body)
			h.Sum(sum[:0])
		}
	})
}

func readVectors(tb testing.TB) []vector {
	tb.Helper()
	data, err := os.ReadFile("testdata/signature-vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		tb.Fatal(err)
	}
	return vectors
}

func newKey(tb testing.TB, name, secret string) *verify.Key {
	tb.Helper()
	k, err := verify.NewKey(name, []byte(secret), verify.Window{})
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func newVerifier(tb testing.TB, keys ...*verify.Key) *verify.Verifier {
	tb.Helper()
	v, err := verify.New(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func sign(secret string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return "sha256=" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
