package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// Redact returns an answer of the platform's to our own question as it may be kept: the
// same bytes, but for the strings that hold a callback address, in which whatever grants
// something is replaced by its fingerprint, `sha256:` and 8 hexadecimal digits. That are
// the token in an address of ours, wherever it stands, and in the address that the answer
// names as its job's, whoever made it: every part of the path of 16 bytes and more, the
// query and the credentials. It reports whether it replaced anything; then the event says
// so (Event.Redacted).
//
// Callbacks are never redacted: their bytes are what is signed.
//
// OC: sections 5.1 (`notificationUrl`) and 5.4 (`notification_url`).
func Redact(body []byte) (clean []byte, redacted bool) {
	document := string(WithoutMark(body))
	text := redactDocument(document, maxNested)
	if text == document {
		return body, false
	}
	return append(body[:len(body)-len(document):len(body)-len(document)], text...), true
}

const (
	// maxNested is how often a string may be JSON itself: metadata is, at times.
	// OC: (b) row 21.
	maxNested = 3
	// minToken is the length from which a part of a foreign address is no name. Ours are
	// longer.
	minToken = 16
)

// ourToken finds the token in an address of ours, in whatever it is embedded.
var ourToken = regexp.MustCompile(`(?i)((?:\\?/|%2f)callbacks(?:\\?/|%2f)[a-z0-9-]{1,32}(?:\\?/|%2f))([a-z0-9_-]{20,})`)

// redactDocument redacts the strings of a JSON text, or the text itself if it is none.
func redactDocument(text string, nested int) string {
	if nested == 0 || !json.Valid([]byte(text)) {
		return redactText(text, nil)
	}
	known := make(map[string]string)
	eachString(text, func(_, _ int, key, s string) {
		if isAddressName(key) {
			known[s] = redactAddress(s)
		}
	})
	var b strings.Builder
	done := 0
	eachString(text, func(from, to int, _, s string) {
		clean, there := known[s]
		switch {
		case there:
		case strings.HasPrefix(strings.TrimLeft(s, space), "{"), strings.HasPrefix(strings.TrimLeft(s, space), "["):
			clean = redactText(redactDocument(s, nested-1), known)
		default:
			clean = redactText(s, known)
		}
		if clean == s {
			return
		}
		quoted, _ := json.Marshal(clean) // a string is always marshalled
		b.WriteString(text[done:from])
		b.Write(quoted)
		done = to
	})
	b.WriteString(text[done:])
	return b.String()
}

// eachString calls do with every string of a valid JSON text: where it stands, what it
// says, and, if it is the value of a member, that member's name.
func eachString(text string, do func(from, to int, key, s string)) {
	key := ""
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			end := stringEnd(text, i)
			s := unquote(text[i:end])
			colon := skipSpace(text, end)
			if colon < len(text) && text[colon] == ':' {
				do(i, end, "", s)
				key, i = s, colon
				continue
			}
			do(i, end, key, s)
			key, i = "", end-1
		case ',', '{':
			key = ""
		}
	}
}

// isAddressName reports whether a member of that name holds a callback address.
func isAddressName(name string) bool {
	name = strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
	return strings.HasSuffix(name, "notificationurl") || strings.HasSuffix(name, "callbackurl")
}

// redactText redacts what is no address but may quote one.
func redactText(s string, known map[string]string) string {
	for address, clean := range known {
		if address != clean && len(address) >= minToken {
			s = strings.ReplaceAll(s, address, clean)
			s = strings.ReplaceAll(s, strings.ReplaceAll(address, "/", `\/`), clean)
			s = strings.ReplaceAll(s, url.QueryEscape(address), url.QueryEscape(clean))
		}
	}
	return ourToken.ReplaceAllStringFunc(s, func(found string) string {
		part := ourToken.FindStringSubmatch(found)
		return part[1] + fingerprint(part[2])
	})
}

// redactAddress redacts a callback address. It is read as text: what is no URL must not get
// away with it.
func redactAddress(address string) string {
	rest, fragment, hasFragment := strings.Cut(address, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	scheme, rest, hasHost := strings.Cut(rest, "://")
	if !hasHost {
		scheme, rest = "", scheme
	}
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		at := strings.LastIndex(part, "@")
		switch {
		case i == 0 && hasHost && at >= 0:
			parts[i] = fingerprint(part[:at]) + part[at:]
		case len(part) >= minToken && (i > 0 || !hasHost):
			parts[i] = fingerprint(part)
		}
	}
	rest = strings.Join(parts, "/")
	if hasHost {
		rest = scheme + "://" + rest
	}
	if hasQuery {
		rest += "?" + fingerprint(query)
	}
	if hasFragment {
		rest += "#" + fingerprint(fragment)
	}
	return rest
}

var isFingerprint = regexp.MustCompile(`^sha256:[0-9a-f]{8}$`)

// fingerprint tells secrets apart without showing them; what is a fingerprint already, or
// empty, stays as it is.
func fingerprint(s string) string {
	if s == "" || isFingerprint.MatchString(s) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:4])
}
