package conformance

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // G501: a receiver must refuse it
	"crypto/sha1" //nolint:gosec // G505: a receiver must refuse it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/url"
	"strings"
)

// stripping sends no MAC.
func (r *runner) stripping() []probe {
	probes := []probe{r.probe("no header", refused, "POST, unsigned", r.post(r.fresh()))}
	done := map[string]bool{}
	for _, c := range []struct{ name, value string }{
		{"empty header", ""},
		{"white space", " \t "},
		{"a label without a MAC", r.Scheme.value(r.Scheme.Label, "")},
		{"a label without =", r.Scheme.Label},
		{"= alone", "="},
		{"the word null", "null"},
		{"the word none", "none"},
		{"quotes", `""`},
		{"label and null", r.Scheme.value(r.Scheme.Label, "null")},
		{"padding alone", r.Scheme.value(r.Scheme.Label, "====")},
		{"a comma", ","},
	} {
		if !done[c.value] {
			done[c.value] = true
			probes = append(probes, r.valued(c.name, refused, r.fresh(), c.value))
		}
	}
	if r.Scheme.Label != "" {
		body := r.fresh()
		probes = append(probes, r.valued("the right MAC without its label", refused, body, r.Scheme.encode(mac(sha256.New, r.Key, body))))
	}
	return probes
}

// keys signs with keys that are not the key.
func (r *runner) keys() []probe {
	k := r.Key
	decoded, _ := base64.StdEncoding.DecodeString(string(k))
	unhexed, _ := hex.DecodeString(string(k))
	var probes []probe
	for _, c := range []struct {
		name string
		key  []byte
	}{
		{"empty", nil}, {"a space", []byte(" ")}, {"a newline", []byte("\n")}, {"one letter", []byte("a")}, {"one digit", []byte("0")},
		{"null", []byte("null")}, {"undefined", []byte("undefined")}, {"None", []byte("None")}, {"secret", []byte("secret")},
		{"key", []byte("key")}, {"test", []byte("test")}, {"changeme", []byte("changeme")}, {"password", []byte("password")},
		{"the header's name", []byte(r.Scheme.Header)}, {"the address", []byte(r.to.url.String())},
		{"first byte of the key", k[:1]}, {"first half of the key", k[:len(k)/2]}, {"the key without its last byte", k[:len(k)-1]},
		{"the key twice", bytes.Repeat(k, 2)}, {"the key and a newline", append(bytes.Clone(k), '\n')},
		{"the key and a space", append(bytes.Clone(k), ' ')}, {"the key in upper case", bytes.ToUpper(k)}, {"the key in lower case", bytes.ToLower(k)},
		{"the key's base64", []byte(base64.StdEncoding.EncodeToString(k))}, {"the key's hexadecimal", []byte(hex.EncodeToString(k))},
		{"the key decoded as base64", decoded}, {"the key decoded as hexadecimal", unhexed}, {"the key in quotes", []byte(`"` + string(k) + `"`)},
	} {
		body := r.fresh()
		// HMAC fills short keys up with NUL, so that other keys may sign alike.
		if c.name != "empty" && len(c.key) == 0 || hmac.Equal(mac(sha256.New, c.key, body), mac(sha256.New, k, body)) {
			continue
		}
		probes = append(probes, r.valued("signed with: "+c.name, refused, body, r.Scheme.sign(c.key, body)))
	}
	// Where keys are looked up by name, one that is not there may be an empty one.
	body := r.fresh()
	q := r.post(body, r.line(r.Scheme.sign(nil, body)))
	folder, last := r.to.parts()
	q.target = r.to.with(folder + "no-such-source")
	p := r.probe("signed with an empty key, at an unknown source", refused, "POST, signed with an empty key", q)
	if last == "" {
		p.skip = "the URL has no path"
	}
	return append(probes, p)
}

// algorithms are those that the scheme has not.
func (r *runner) algorithms() []probe {
	var probes []probe
	add := func(name, label string, body, sum []byte) {
		probes = append(probes, r.valued(name, refused, body, r.Scheme.value(label, r.Scheme.encode(sum))))
	}
	for _, h := range []struct {
		label string
		make  func() hash.Hash
	}{{"md5", md5.New}, {"sha1", sha1.New}, {"sha224", sha256.New224}, {"sha384", sha512.New384}, {"sha512", sha512.New}, {"sha512-256", sha512.New512_256}} {
		body := r.fresh()
		add("HMAC by "+h.label+" under the right label", r.Scheme.Label, body, mac(h.make, r.Key, body))
		if r.Scheme.Label != "" {
			add("HMAC by "+h.label+" under its own label", h.label, body, mac(h.make, r.Key, body))
			add("the right MAC under the label "+h.label, h.label, body, mac(sha256.New, r.Key, body))
		}
	}
	if r.Scheme.Label != "" {
		for _, label := range []string{"none", "plain", "sha-256", "hmac-sha256", "sha2", "sha256,none", "v1", "*"} {
			body := r.fresh()
			add("the right MAC under the label "+label, label, body, mac(sha256.New, r.Key, body))
		}
		probes = append(probes, r.valued("the label none without a MAC", refused, r.fresh(), "none="))
	}
	body := r.fresh()
	sum := func(parts ...[]byte) []byte {
		s := sha256.Sum256(bytes.Join(parts, nil))
		return s[:]
	}
	add("SHA-256 of the body, without a key", r.Scheme.Label, body, sum(body))
	add("SHA-256 of key and body, which can be extended", r.Scheme.Label, body, sum(r.Key, body))
	add("SHA-256 of body and key", r.Scheme.Label, body, sum(body, r.Key))
	add("HMAC with key and body swapped", r.Scheme.Label, body, mac(sha256.New, body, r.Key))
	add("HMAC of an empty body", r.Scheme.Label, body, mac(sha256.New, r.Key, nil))
	add("HMAC of the body's SHA-256", r.Scheme.Label, body, mac(sha256.New, r.Key, sum(body)))
	add("HMAC of the MAC", r.Scheme.Label, body, mac(sha256.New, r.Key, mac(sha256.New, r.Key, body)))
	return probes
}

// macs are right MACs, changed or written another way. One digest should have one spelling.
func (r *runner) macs() []probe {
	body := r.telling()
	right := mac(sha256.New, r.Key, body)
	text := r.Scheme.encode(right)
	var probes []probe
	done := map[string]bool{text: true}
	add := func(name string, expect expectation, mac string) {
		if !done[mac] {
			done[mac] = true
			probes = append(probes, r.valued(name, expect, body, r.Scheme.value(r.Scheme.Label, mac)))
		}
	}
	flip := func(i int, by byte) string {
		changed := bytes.Clone(right)
		changed[i] ^= by
		return r.Scheme.encode(changed)
	}
	add("first bit changed", refused, flip(0, 0x80))
	add("a bit in the middle changed", refused, flip(16, 1))
	add("last bit changed", refused, flip(31, 1))
	add("all zero", refused, r.Scheme.encode(make([]byte, 32)))
	add("half of it zero", refused, r.Scheme.encode(append(bytes.Clone(right[:16]), make([]byte, 16)...)))
	for _, n := range []int{1, 4, 8, 16, 20, 31} {
		add("truncated to its first "+itoa(n)+" bytes", refused, r.Scheme.encode(right[:n]))
	}
	add("first letter alone", refused, text[:1])
	add("last letter missing", refused, text[:len(text)-1])
	add("first letter missing", refused, text[1:])
	add("extended by a byte", refused, r.Scheme.encode(append(bytes.Clone(right), 0)))
	add("extended by a letter", refused, text+"A")
	add("extended by four letters", refused, text+"AAAA")
	add("twice", refused, text+text)
	add("padded once more", refused, text+"=")
	add("a space in it", refused, text[:8]+" "+text[8:])
	add("a tab in it", refused, text[:8]+"\t"+text[8:])
	add("a space before it", refused, " "+text)
	add("in quotes", refused, `"`+text+`"`)
	add("between colons", refused, ":"+text+":")
	add("its first letter escaped", refused, "%"+hex.EncodeToString([]byte(text[:1]))+text[1:])
	add("escaped as in a URL", refused, url.QueryEscape(text))
	add("a comma after it", refused, text+",")
	add("a semicolon and a time after it", refused, text+";t=1")
	add("another MAC after a comma", refused, text+","+flip(0, 1))
	add("base64 of its text", refused, base64.StdEncoding.EncodeToString([]byte(text)))
	add("hexadecimal of its text", refused, hex.EncodeToString([]byte(text)))
	add("format verbs", refused, "%s%n%x")
	if r.Scheme.Hex {
		// The same bytes: no forgery, so either is right.
		add("hexadecimal in upper case", either, strings.ToUpper(text))
		add("base64", refused, base64.StdEncoding.EncodeToString(right))
		add("0x before it", refused, "0x"+text)
		return append(probes, r.label(body, text)...)
	}
	add("in lower case", refused, strings.ToLower(text))
	add("in upper case", refused, strings.ToUpper(text))
	add("without padding", refused, base64.RawStdEncoding.EncodeToString(right))
	add("URL-safe", refused, base64.URLEncoding.EncodeToString(right))
	add("URL-safe without padding", refused, base64.RawURLEncoding.EncodeToString(right))
	add("hexadecimal", refused, hex.EncodeToString(right))
	add("hexadecimal in upper case", refused, strings.ToUpper(hex.EncodeToString(right)))
	add("unused bits set", refused, trailing(text))
	return append(probes, r.label(body, text)...)
}

// label are spellings of the label.
func (r *runner) label(body []byte, text string) []probe {
	if r.Scheme.Label == "" {
		return nil
	}
	return []probe{
		// Which algorithm is meant is clear.
		r.valued("the label in upper case", either, body, strings.ToUpper(r.Scheme.Label)+"="+text),
		r.valued("a space before =", refused, body, r.Scheme.Label+" ="+text),
		r.valued("a colon instead of =", refused, body, r.Scheme.Label+":"+text),
		r.valued("two =", refused, body, r.Scheme.Label+"=="+text),
		r.valued("the label twice", refused, body, r.Scheme.Label+"="+r.Scheme.Label+"="+text),
		r.valued("a letter before the label", refused, body, "x"+r.Scheme.Label+"="+text),
		r.valued("the label truncated", refused, body, r.Scheme.Label[:3]+"="+text),
	}
}

// telling is a body whose MAC has what the URL-safe alphabet writes another way, and both
// small and large letters.
func (r *runner) telling() []byte {
	for {
		body := r.fresh()
		if strings.ContainsAny(r.Scheme.encode(mac(sha256.New, r.Key, body)), "+/") || r.Scheme.Hex {
			return body
		}
	}
}

// trailing sets the bits of the last letter that belong to no byte: of 32 bytes' base64, the
// last two of the letter before the padding.
func trailing(text string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := len(text) - 2
	return text[:at] + letters[strings.IndexByte(letters, text[at])+1:][:1] + text[at+1:]
}
