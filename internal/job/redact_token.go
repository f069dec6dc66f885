package job

import (
	"strings"
	"unicode/utf8"
)

// redactTokens replaces the tokens in addresses of ours, in whatever they are embedded: what
// follows the last slash of `/callbacks/{source}/{token}`, if it is of 20 letters, digits, `_` and
// `-` or more. Case does not matter, and a slash may be escaped, as `\/` or `%2f`.
func redactTokens(s string) (clean string, changed bool) {
	const word = "callbac" // in Unicode, k and s have other capitals too
	var b strings.Builder
	done := 0
	for i := 1; i+len(word) < len(s); i++ {
		if s[i]|0x20 != word[0] || !strings.EqualFold(s[i:i+len(word)], word) {
			continue
		}
		if s[i-1] != '/' && (i < 3 || !strings.EqualFold(s[i-3:i], "%2f")) {
			continue
		}
		from, to, ok := tokenAfter(s, i+len(word))
		if !ok {
			continue
		}
		b.WriteString(s[done:from])
		b.WriteString(fingerprint(s[from:to]))
		done, i = to, to-1
	}
	if done == 0 {
		return s, false
	}
	b.WriteString(s[done:])
	return b.String(), true
}

// tokenAfter returns where the token stands if what is left of the word, a slash, the name of a
// source, a slash and a token follow i.
func tokenAfter(s string, i int) (from, to int, ok bool) {
	for _, letters := range [...]string{"kK\u212a", "s\u017fS"} {
		if i, ok = letter(s, i, letters); !ok {
			return 0, 0, false
		}
	}
	if i, ok = slash(s, i); !ok {
		return 0, 0, false
	}
	end, n := letters(s, i, false)
	if from, ok = slash(s, end); !ok || n == 0 || n > 32 {
		return 0, 0, false
	}
	to, n = letters(s, from, true)
	return from, to, n >= 20
}

// letter passes over one of these letters.
func letter(s string, i int, these string) (end int, ok bool) {
	r, size := utf8.DecodeRuneInString(s[i:])
	return i + size, strings.ContainsRune(these, r)
}

// slash passes over a slash.
func slash(s string, i int) (end int, ok bool) {
	for _, form := range [...]string{"/", `\/`, "%2f", "%2F"} {
		if strings.HasPrefix(s[i:], form) {
			return i + len(form), true
		}
	}
	return i, false
}

// letters passes over letters, digits and hyphens, and underscores in a token.
func letters(s string, i int, inToken bool) (end, n int) {
	for ; ; n++ {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '\u017f', r == '\u212a':
		case r == '_' && inToken:
		default:
			return i, n
		}
		i += size
	}
}
