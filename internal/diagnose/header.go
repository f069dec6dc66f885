package diagnose

import (
	"crypto/sha1" //nolint:gosec // to be recognised, never to be accepted
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"receiver/internal/verify"
	"regexp"
	"strconv"
	"strings"
)

// reading is one way to read a digest out of the header.
type reading struct {
	digest []byte
	causes []cause
}

// read reads every digest that the header can be taken to hold, and says what is wrong
// with its text. There is something wrong whenever Verify's reason is not Mismatch.
func read(values []string) (readings []reading, seen []cause) {
	var all []string
	var around []cause
	for _, v := range values {
		if strings.TrimSpace(v) != "" {
			all = append(all, v)
		}
	}
	if len(values) > 1 {
		around = append(around, cause{code: "signature_several_headers"})
	}
	if len(all) == 0 {
		return nil, append(around, cause{code: "signature_missing"})
	}
	for _, value := range all {
		causes := around
		parts := strings.Split(value, ",")
		if len(parts) > 1 {
			causes = with(causes, "signature_comma_list")
		}
		for _, part := range parts {
			if strings.TrimSpace(part) == "" {
				seen = append(seen, causes...)
				continue
			}
			digest, more := readOne(part)
			more = append(clip(causes), more...)
			seen = append(seen, more...)
			if digest != nil {
				readings = append(readings, reading{digest, more})
			}
		}
	}
	return readings, seen
}

// clip makes sure that appending to causes copies them.
func clip(causes []cause) []cause { return causes[:len(causes):len(causes)] }

func with(causes []cause, code string) []cause { return append(clip(causes), cause{code: code}) }

// readOne reads one value. The digest is nil if there is none of a known length.
func readOne(value string) (digest []byte, causes []cause) {
	value, causes = peel(value)
	label, encoded, exact := cutScheme(value)
	if label == "" {
		causes = with(causes, "signature_no_scheme")
	}
	if inner := unquote(encoded); inner != encoded {
		encoded, causes = inner, with(causes, "signature_quoted")
	}
	data, ok, more := decode(encoded)
	causes = append(causes, more...)
	if !ok {
		return nil, with(causes, "signature_not_base64")
	}
	algorithm := ""
	switch len(data) {
	case sha256.Size:
		algorithm = "sha256"
	case sha1.Size:
		algorithm = "sha1"
		causes = with(causes, "signature_sha1")
	case sha512.Size:
		algorithm = "sha512"
		causes = with(causes, "signature_sha512")
	default:
		return nil, append(causes, cause{"signature_length", strconv.Itoa(len(data))})
	}
	if label != "" && (!exact || !strings.EqualFold(label, algorithm) && !strings.EqualFold(label, "sha256")) {
		causes = with(causes, "signature_scheme")
	}
	return data, causes
}

// peel takes off what people and tools put around a value.
func peel(value string) (string, []cause) {
	var causes []cause
	for range 4 { // quotes around a name before quotes, and no deeper
		before := value
		value = strings.Trim(value, " \t")
		if inner := strings.TrimSpace(value); inner != value {
			value, causes = inner, add(causes, "signature_white_space")
		}
		if inner := unquote(value); inner != value {
			value, causes = inner, add(causes, "signature_quoted")
		}
		if name, rest, ok := strings.Cut(value, ":"); ok && strings.EqualFold(strings.TrimSpace(name), verify.Header) {
			value, causes = rest, add(causes, "signature_header_name")
		}
		if value == before {
			break
		}
	}
	return value, causes
}

// add adds a cause that may be there already.
func add(causes []cause, code string) []cause {
	for _, c := range causes {
		if c.code == code {
			return causes
		}
	}
	return with(causes, code)
}

func unquote(s string) string {
	if len(s) >= 2 && strings.IndexByte("\"'`", s[0]) >= 0 && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// algorithmName matches what Verify takes for the name of an algorithm.
var algorithmName = regexp.MustCompile(`^[A-Za-z0-9-]{1,16}$`)

// cutScheme cuts the name of an algorithm off, and says whether nothing but = stands
// behind it.
func cutScheme(value string) (label, rest string, exact bool) {
	i := strings.IndexAny(value, "=: ")
	if i < 0 || !algorithmName.MatchString(value[:i]) {
		return "", value, false
	}
	label, rest = value[:i], value[i+1:]
	exact = value[i] == '='
	// A space may also be what became of a + in base64 without a name.
	if !exact && !strings.Contains(strings.ToLower(label), "sha") {
		return "", value, false
	}
	if trimmed := strings.TrimLeft(rest, "=: \t"); trimmed != rest {
		rest, exact = trimmed, false
	}
	return label, rest, exact
}

// escapes are those of URLs that base64 can need.
var escapes = strings.NewReplacer("%2B", "+", "%2b", "+", "%2F", "/", "%2f", "/", "%3D", "=", "%3d", "=")

// decode reads bytes out of hexadecimal or of any base64.
func decode(text string) (data []byte, ok bool, causes []cause) {
	change := func(code, to string) {
		if to != text {
			text, causes = to, add(causes, code)
		}
	}
	change("signature_escaped", escapes.Replace(text))
	change("signature_white_space", strings.NewReplacer("\r", "", "\n", "", "\t", "").Replace(text))
	if data, ok := hexDigest(text); ok {
		return data, true, with(causes, "signature_hex")
	}
	change("signature_plus_lost", strings.ReplaceAll(text, " ", "+"))
	change("signature_url_safe", strings.NewReplacer("-", "+", "_", "/").Replace(text))
	bare := strings.TrimRight(text, "=")
	change("signature_unpadded", bare+strings.Repeat("=", (4-len(bare)%4)%4))
	data, err := base64.RawStdEncoding.DecodeString(bare)
	if err != nil {
		return nil, false, causes
	}
	if _, err := base64.RawStdEncoding.Strict().DecodeString(bare); err != nil {
		causes = with(causes, "signature_not_canonical")
	}
	if inner, ok := hexDigest(string(data)); ok {
		return inner, true, with(causes, "signature_base64_of_hex")
	}
	return data, true, causes
}

// hexDigest decodes a hexadecimal text of the length of a digest. Such a text is base64
// too, but of no digest's length.
func hexDigest(text string) ([]byte, bool) {
	switch len(text) {
	case 2 * sha1.Size, 2 * sha256.Size, 2 * sha512.Size:
		data, err := hex.DecodeString(text)
		return data, err == nil
	}
	return nil, false
}
