package job

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Redact returns the platform's answer to a poll without secrets: the same bytes, but in strings
// with a callback address each secret is replaced by its fingerprint, `sha256:` and 8 hexadecimal
// digits. Secrets are the token in an address of this program, anywhere in the answer, and in the
// address that the answer names as its job's: every part of the path of 16 bytes and more, the
// query and the credentials. It reports whether it replaced anything; then the event says so
// (Event.Redacted).
//
// Its work is linear in the size of the body, for any contents. It ends early, with the error of
// ctx, when ctx is done: then nothing of the body may be kept.
//
// Callbacks are never redacted: their bytes are signed.
//
// OC: sections 5.1 (`notificationUrl`) and 5.4 (`notification_url`).
func Redact(ctx context.Context, body []byte) (clean []byte, redacted bool, err error) {
	document := WithoutMark(body)
	r := redaction{ctx: ctx}
	text, changed := r.document(string(document), maxNested)
	switch {
	case r.err != nil:
		return nil, false, r.err
	case !changed:
		return body, false, nil
	}
	return append(bytes.Clone(body[:len(body)-len(document)]), text...), true, nil
}

// maxNested is how often a string may be JSON itself: metadata is, at times.
// OC: (b) row 21.
const maxNested = 3

// redaction is one call of Redact.
type redaction struct {
	ctx context.Context
	err error // that of ctx, once it was seen
}

// over reports whether the context is done. It is asked once for each string.
func (r *redaction) over() bool {
	if r.err == nil {
		r.err = r.ctx.Err()
	}
	return r.err != nil
}

// document redacts the strings of a JSON text, or the text itself if it is none.
func (r *redaction) document(text string, nested int) (clean string, changed bool) {
	if nested == 0 || !json.Valid([]byte(text)) {
		return r.text(text, nil)
	}
	known := newAddresses(r, text)
	var b strings.Builder
	done := 0
	eachString(text, func(from, to int, _, s string) bool {
		clean, changed := known.whole(s)
		if !changed {
			inner := strings.TrimLeft(s, space)
			if strings.HasPrefix(inner, "{") || strings.HasPrefix(inner, "[") {
				clean, changed = r.document(s, nested-1)
			}
			var more bool
			clean, more = r.text(clean, known)
			changed = changed || more
		}
		if changed {
			quoted, _ := json.Marshal(clean) // a string is always marshalled
			b.WriteString(text[done:from])
			b.Write(quoted)
			done = to
		}
		return !r.over()
	})
	if done == 0 {
		return text, false
	}
	b.WriteString(text[done:])
	return b.String(), true
}

// text redacts what is no address but may quote one.
func (r *redaction) text(s string, known *addresses) (clean string, changed bool) {
	s, quotes := known.quoted(s)
	if r.over() {
		return s, quotes
	}
	s, ours := redactTokens(s)
	return s, quotes || ours
}

// eachString calls do with every string of a valid JSON text, until that returns false: where
// the string stands, what it says, and, if it is the value of a member, that member's name.
func eachString(text string, do func(from, to int, key, s string) bool) {
	key := ""
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			end := stringEnd(text, i)
			s := unquote(text[i:end])
			if colon := skipSpace(text, end); at(text, colon, ':') {
				if !do(i, end, "", s) {
					return
				}
				key, i = s, colon
			} else {
				if !do(i, end, key, s) {
					return
				}
				key, i = "", end-1
			}
		case ',', '{':
			key = ""
		}
	}
}

// addresses are the callback addresses that one document names: those in which something is to
// be redacted.
type addresses struct {
	all map[string]struct{}
	// few are the forms in which another string may quote one of them, if they are few and
	// short, as those of the platform are.
	few []quotation
	// begins are the first bytes of all their forms otherwise.
	begins map[[minToken]byte]struct{}
}

// quotation is an address in one of its forms, and what to write for it.
type quotation struct{ address, clean string }

const (
	// minToken is the length from which a part of a foreign address is no name, and from which
	// a foreign address is looked for in other strings. Our tokens are longer.
	minToken = 16
	// mostAddresses and mostAddress limit the addresses that are recognised in other strings. An
	// answer is about one job, which has one address.
	mostAddresses = 4
	mostAddress   = 2 << 10
)

func newAddresses(r *redaction, text string) *addresses {
	a := &addresses{all: map[string]struct{}{}}
	eachString(text, func(_, _ int, key, s string) bool {
		if isAddressName(key) && redactAddress(s) != s {
			a.all[s] = struct{}{}
		}
		return !r.over()
	})
	var long []string // and so looked for elsewhere
	few := true
	for s := range a.all {
		if len(s) >= minToken {
			long = append(long, s)
			few = few && len(s) <= mostAddress
		}
	}
	if few && len(long) <= mostAddresses {
		// Of two that begin alike, the longer one is meant.
		slices.SortFunc(long, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
		for _, s := range long {
			clean := redactAddress(s)
			a.few = append(a.few, quotation{s, clean}, quotation{strings.ReplaceAll(s, "/", `\/`), clean},
				quotation{url.QueryEscape(s), url.QueryEscape(clean)})
		}
		return a
	}
	a.begins = make(map[[minToken]byte]struct{}, len(long))
	for _, s := range long {
		s = s[:minToken] // a form of a beginning is the beginning of the form
		for _, form := range [...]string{s, strings.ReplaceAll(s, "/", `\/`), url.QueryEscape(s)} {
			a.begins[[minToken]byte([]byte(form))] = struct{}{}
		}
	}
	return a
}

// whole redacts a string that is one of the addresses.
func (a *addresses) whole(s string) (clean string, changed bool) {
	if _, there := a.all[s]; !there {
		return s, false
	}
	return redactAddress(s), true
}

// quoted redacts the addresses in a string. Where there are too many to tell them apart, all
// goes that follows what begins as one of them.
func (a *addresses) quoted(s string) (clean string, changed bool) {
	switch {
	case a == nil || len(s) < minToken:
		return s, false
	case a.begins != nil:
		for i := range len(s) - minToken + 1 {
			if _, there := a.begins[[minToken]byte([]byte(s[i:i+minToken]))]; there {
				return s[:i] + fingerprint(s[i:]), true
			}
		}
		return s, false
	}
	return replaceAll(s, a.few)
}

// replaceAll replaces the quotations in s, the first and of two at one place the earlier one.
// It looks for each no further than to where it stands next, so that it reads s once for each.
func replaceAll(s string, few []quotation) (clean string, changed bool) {
	next := make([]int, len(few)) // where each stands next, and len(s) if nowhere
	for i := range next {
		next[i] = -1
	}
	var b strings.Builder
	done := 0
	for {
		first := -1
		for i, q := range few {
			if next[i] < done {
				next[i] = len(s)
				if n := strings.Index(s[done:], q.address); n >= 0 {
					next[i] = done + n
				}
			}
			if next[i] < len(s) && (first < 0 || next[i] < next[first]) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		b.WriteString(s[done:next[first]])
		b.WriteString(few[first].clean)
		done = next[first] + len(few[first].address)
	}
	if done == 0 {
		return s, false
	}
	b.WriteString(s[done:])
	return b.String(), true
}

// isAddressName reports whether a member of that name holds a callback address.
func isAddressName(name string) bool {
	return endsIn(name, "notificationurl") || endsIn(name, "callbackurl")
}

// endsIn reports whether a name ends in a word, in any case and with or without underscores and
// hyphens.
func endsIn(name, word string) bool {
	for word != "" && name != "" {
		r, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
		switch {
		case r == '_' || r == '-':
		case unicode.ToLower(r) != rune(word[len(word)-1]):
			return false
		default:
			word = word[:len(word)-1]
		}
	}
	return word == ""
}

// redactAddress redacts a callback address. It is read as text: what is no URL must not get
// away with it.
func redactAddress(address string) string {
	rest, fragment, hasFragment := strings.Cut(address, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	scheme, rest, hasHost := strings.Cut(rest, "://")
	var b strings.Builder
	if hasHost {
		b.WriteString(scheme + "://")
	} else {
		rest = scheme
	}
	host := hasHost // the first part is one
	for part := range strings.SplitAfterSeq(rest, "/") {
		name := strings.TrimSuffix(part, "/")
		switch at := strings.LastIndexByte(name, '@'); {
		case host && at >= 0:
			b.WriteString(fingerprint(name[:at]) + name[at:])
		case !host && len(name) >= minToken:
			b.WriteString(fingerprint(name))
		default:
			b.WriteString(name)
		}
		b.WriteString(part[len(name):])
		host = false
	}
	if hasQuery {
		b.WriteString("?" + fingerprint(query))
	}
	if hasFragment {
		b.WriteString("#" + fingerprint(fragment))
	}
	return b.String()
}

// fingerprint tells secrets apart without showing them; what is a fingerprint already, or
// empty, stays as it is.
func fingerprint(s string) string {
	if s == "" || isFingerprint(s) {
		return s
	}
	return Fingerprint([]byte(s))
}

// Fingerprint returns `sha256:` and the first eight hexadecimal digits of the SHA-256 of a
// secret. It tells secrets apart without showing them; a short secret can be guessed from it.
//
// Packages verify and config, which import nothing of ours, have the same function.
func Fingerprint(secret []byte) string {
	sum := sha256.Sum256(secret)
	return "sha256:" + hex.EncodeToString(sum[:4])
}

func isFingerprint(s string) bool {
	digits, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(digits) == 8 && strings.Trim(digits, "0123456789abcdef") == ""
}
