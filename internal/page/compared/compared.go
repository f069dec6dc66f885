// Package compared shows why a signature was refused: what came beside what was signed.
package compared

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"receiver/api"
	"receiver/internal/plain"
	"receiver/internal/words"
)

// Explanation is an explanation as a view shows it.
type Explanation struct {
	api.Explanation
	At       time.Time
	Findings []shownFinding
}

// shownFinding is one finding, with the rows of its comparison.
type shownFinding struct {
	Code, Text     string
	Next           []textPart
	Proved         bool
	Tried, Skipped []string
	Rows           []comparedRow
	Regions        []regionView
	More           bool
}

// comparedRow is one row: what came, and what was signed. Of a body it has the digests, too.
type comparedRow struct{ Of, Came, Signed, CameHash, SignedHash string }

// regionView is where the bodies differ, on both sides.
type regionView struct {
	At           int
	Came, Signed comparedSide
}

// glyphs is text, or, as a sign, the name of one character that shows nothing by itself.
type glyphs struct {
	Text string
	Sign bool
}

// comparedSide is a piece of a body around a difference.
type comparedSide struct {
	Before, Marked, After []glyphs
	Hex                   string
	Size                  int
}

// New makes what is shown of an explanation.
func New(e api.Explanation) *Explanation {
	shown := &Explanation{Explanation: e, At: time.Now()}
	for _, f := range e.Findings {
		one := shownFinding{Code: f.Code, Text: f.Text, Next: codeParts(f.Next), Proved: f.Proved, Tried: f.Tried, Skipped: f.Skipped}
		if f.Compared != nil {
			one.compare(f.Compared)
		}
		shown.Findings = append(shown.Findings, one)
	}
	return shown
}

// compare makes the rows of a comparison: one for each part of what is signed.
func (f *shownFinding) compare(c *api.Comparison) {
	causes := map[string][]string{}
	for _, d := range c.Differences {
		causes[d.Of] = append(causes[d.Of], d.Text)
	}
	key := c.Key
	if key == "" {
		key = "none"
	}
	for _, part := range []comparedRow{{Of: "signature", Came: "as the platform writes it"}, {Of: "hash", Came: "HMAC-SHA-256"}, {Of: "key", Came: key}} {
		part.Signed = "the same"
		if texts := causes[part.Of]; len(texts) > 0 {
			part.Signed = strings.Join(texts, "; ")
		} else if part.Of != "key" {
			continue
		}
		f.Rows = append(f.Rows, part)
	}
	body := comparedRow{Of: "body", Came: words.Count(c.Came.Size, "byte"), Signed: "the same", CameHash: c.Came.SHA256}
	if len(causes["body"]) > 0 {
		body.Signed, body.SignedHash = words.Count(c.Signed.Size, "byte"), c.Signed.SHA256
	}
	f.Rows, f.More = append(f.Rows, body), c.More
	for _, r := range c.Regions {
		before, after := visibleBytes(r.Before), visibleBytes(r.After)
		f.Regions = append(f.Regions, regionView{
			r.At, comparedSide{before, marked(r.Came), after, hexOf(r.Came), r.Size}, comparedSide{before, marked(r.Signed), after, hexOf(r.Signed), r.SignedSize},
		})
	}
}

// hexShown is how many bytes a comparison shows in hexadecimal.
const hexShown = 32

// hexOf is the beginning of some bytes in hexadecimal.
func hexOf(b []byte) string {
	text := fmt.Sprintf("% x", b[:min(len(b), hexShown)])
	if len(b) > hexShown {
		text += " …"
	}
	return text
}

// signs are the names of characters that show nothing by themselves.
var signs = map[rune]string{0: "NUL", '\t': "TAB", '\n': "LF", '\r': "CR", ' ': "SPACE", '\ufeff': "BOM"}

// visibleBytes is bytes as text in which all is seen.
func visibleBytes(b []byte) (all []glyphs) {
	put := func(g glyphs) {
		if last := len(all) - 1; last >= 0 && !g.Sign && !all[last].Sign {
			all[last].Text += g.Text
			return
		}
		all = append(all, g)
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			put(glyphs{fmt.Sprintf("%02X", b[0]), true})
		case signs[r] != "" && r != ' ':
			put(glyphs{signs[r], true})
		default:
			put(glyphs{plain.Text(string(r)), false})
		}
		b = b[n:]
	}
	return all
}

// marked is visibleBytes of a difference: blanks are named, too, where there is nothing else.
func marked(b []byte) []glyphs {
	if len(bytes.Trim(b, " ")) > 0 {
		return visibleBytes(b)
	}
	var all []glyphs
	for range b {
		all = append(all, glyphs{signs[' '], true})
	}
	return all
}

// textPart is a part of a text, which may be code.
type textPart struct {
	Text string
	Code bool
}

// codeParts are the parts of a text in which backquotes mark code.
func codeParts(text string) (all []textPart) {
	for i, part := range strings.Split(text, "`") {
		all = append(all, textPart{part, i%2 == 1})
	}
	return all
}
