// Package plain makes text from outside fit to be read: on a terminal, in a line of the log, in a
// cell of a spreadsheet. It escapes all characters that the reader's program could obey or would
// not show: control characters of both sets, marks of direction, line separators, byte order marks,
// characters without a width, and bytes that are no UTF-8. It does not interpret the text.
package plain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns s as it may stand within a line.
func Text(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// Lines returns s fit for a terminal, in lines and with tabs. The result of Text stays as it is.
func Lines(s string) string {
	if isPlain(s) {
		return s
	}
	b, _ := appendLines(nil, []byte(s), true)
	return string(b)
}

// JSON returns JSON text of the same meaning in which what is not to stand raw is escaped.
func JSON(text []byte) []byte {
	if isPlain(text) {
		return text
	}
	b, _ := appendLines(make([]byte, 0, len(text)+len(text)/4), text, true)
	return b
}

// Cell returns s as a spreadsheet may open it: as Text, and nothing that is taken for a formula,
// also if its sign is a full-width one or stands behind what is not shown.
func Cell(s string) string {
	first := strings.TrimLeftFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || !unicode.IsGraphic(r) || unicode.Is(unicode.M, r) ||
			r == '\u3164' || r == '\uffa0' || r == '\u115f' || r == '\u1160' || r == '\u2800' // letters and a symbol that are blank
	})
	s = Text(s)
	if r, size := utf8.DecodeRuneInString(first); size > 0 && strings.ContainsRune("=+-@＝＋－＠﹦﹢﹣﹫−", r) {
		return "'" + s
	}
	return s
}

// isPlain reports whether a text is of printable ASCII, line feeds and tabs.
func isPlain[T ~string | ~[]byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; (c < ' ' && c != '\n' && c != '\t') || c > '~' {
			return false
		}
	}
	return true
}

// appendLines appends text escaped, and returns what of its end waits for more, unless it is the
// last.
func appendLines(to, text []byte, last bool) (escaped, rest []byte) {
	for len(text) > 0 {
		if !last && (!utf8.FullRune(text) || len(text) == 1 && text[0] == '\r') {
			return to, text
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			to = append(to, `\ufffd`...)
		case r == '\n', r == '\t', unicode.IsGraphic(r), r == '\r' && len(text) > 1 && text[1] == '\n':
			to = append(to, text[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			to = fmt.Appendf(to, `\u%04x\u%04x`, high, low)
		default:
			to = fmt.Appendf(to, `\u%04x`, r)
		}
		text = text[size:]
	}
	return to, nil
}
