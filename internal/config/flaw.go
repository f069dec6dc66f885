package config

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quotedMark stands in front of a secret whose quotes belong to it: quoted:file:PATH.
const quotedMark = "quoted:"

// A flaw is a part of a secret that is not intended; the zero flaw is none.
type flaw struct {
	wrong  string // after "the secret" or the name of its file
	quotes bool   // that are around it, which a secret can have, though hardly any does
}

// allowed says what would be right.
func (f flaw) allowed() string {
	if f.quotes {
		return plainBytes + ownQuotes
	}
	return plainBytes
}

// How to write a secret so that none of this happens.
const (
	plainBytes  = "only the bytes of the secret, as written by `printf %s SECRET > FILE`, or in PowerShell `Set-Content -NoNewline -Encoding ascii FILE SECRET`"
	ownQuotes   = "; or " + quotedMark + " before file:, env: or the text, if the quotes are part of the secret"
	utf16Origin = ", as written by > in PowerShell and by \"Unicode\" in editors"
)

// byteMarks are the byte order marks, the longer first.
var byteMarks = []struct{ mark, wrong string }{
	{"\xff\xfe\x00\x00", "is in UTF-32: it begins with the byte order mark FF FE 00 00"},
	{"\x00\x00\xfe\xff", "is in UTF-32: it begins with the byte order mark 00 00 FE FF"},
	{"\xff\xfe", "is in UTF-16: it begins with the byte order mark FF FE" + utf16Origin},
	{"\xfe\xff", "is in UTF-16: it begins with the byte order mark FE FF"},
	{"\xef\xbb\xbf", "begins with the byte order mark of UTF-8 (EF BB BF), which would be part of the secret"},
	{"\u00ef\u00bb\u00bf", "begins with ï»¿, a byte order mark of UTF-8 that was read as text"},
}

// quotePairs are the quotes that can be around a text, opening and closing.
var quotePairs = [][2]string{
	{`"`, `"`}, {`'`, `'`}, {"`", "`"}, {`\"`, `\"`}, {"“", "”"}, {"„", "“"}, {"„", "”"}, {"”", "”"}, {"‘", "’"}, {"‚", "‘"}, {"’", "’"}, {"«", "»"}, {"»", "«"}, {"‹", "›"},
}

// flawOf returns the flaw of a secret's value. It never repeats any of it.
func flawOf(value string) flaw {
	for _, b := range byteMarks {
		if strings.HasPrefix(value, b.mark) {
			return flaw{wrong: b.wrong}
		}
	}
	if strings.Contains(value, "\x00") {
		return flaw{wrong: nulls([]byte(value))}
	}
	bare := strings.TrimSpace(value)
	for _, q := range quotePairs {
		if len(bare) >= len(q[0])+len(q[1]) && strings.HasPrefix(bare, q[0]) && strings.HasSuffix(bare, q[1]) {
			return flaw{"has quotes around it, which would be part of the secret", true}
		}
	}
	return flaw{}
}

// nulls tells UTF-16 and UTF-32 without a mark from other bytes with NUL among them.
func nulls(value []byte) string {
	zero := bytes.Count(value, []byte{0})
	rest := 0 // in places where text in UTF-16 of most languages has none
	for i, c := range value {
		if c == 0 && i%2 == 0 {
			rest++
		}
	}
	switch {
	case zero*4 >= len(value)*3-3 && len(value) >= 7:
		return "is in UTF-32: three of four bytes are NUL"
	case zero*2 >= len(value)-1 && (rest == 0 || rest == zero) && len(value) > 2:
		return "is in UTF-16 without a byte order mark: every second byte is NUL" + utf16Origin
	}
	return "contains NUL bytes"
}

var (
	assignment  = regexp.MustCompile(`^(export\s+)?[A-Za-z_][A-Za-z0-9_-]{2,}\s?(=[^=]|: )`)
	placeholder = regexp.MustCompile(`^(\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\$\(.*\)|\{\{.*\}\}|<[^<>]*>|%[A-Za-z_][A-Za-z0-9_]*%)$`)
)

// doubtsOf returns what is odd in a secret that others have too, and could still be meant.
func doubtsOf(value string) []string {
	var doubts []string
	doubt := func(odd bool, what string) {
		if odd {
			doubts = append(doubts, what)
		}
	}
	bare := strings.TrimSpace(value)
	doubt(bare != value, "begins or ends with white space, which is part of the value")
	doubt(strings.ContainsAny(bare, "\r\n"), "has several lines, which are all part of the value")
	doubt(assignment.MatchString(bare), "looks like NAME=VALUE, which is all part of the value")
	doubt(placeholder.MatchString(bare), "looks like a placeholder that was not replaced")
	doubt(isReference(bare), "looks like a reference; references inside referenced values are not followed")
	doubt(!utf8.ValidString(bare), "is not UTF-8, the encoding that the platform uses")
	doubt(utf8.ValidString(bare) && strings.ContainsFunc(bare, unseen), "contains an invisible character, which is part of the value")
	return doubts
}

// unseen reports whether a character within a line shows nothing, or looks like a space.
func unseen(r rune) bool {
	return r != '\r' && r != '\n' && r != ' ' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.IsSpace(r))
}

// warnOfSecret warns of what is odd in a secret and stops nothing.
func (l *loader) warnOfSecret(p *part, path, value string) {
	if p.ours() {
		if f := flawOf(value); f.wrong != "" && !strings.HasPrefix(f.wrong, "contains NUL") {
			l.warn(path, f.wrong+"; it works only if the same bytes are used everywhere")
		}
		return
	}
	if p.tag.Get("form") == "identity" || p.tag.Get("form") == "log key" {
		return // these have a form of their own
	}
	for _, doubt := range doubtsOf(value) {
		l.warn(path, doubt)
	}
}
