package recording

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The measures of the picture, in pixels.
const (
	column = 8.4
	row    = 19
	margin = 14
)

// colours are those of text by its control sequence, on the background of the picture.
var colours = map[string]string{"\x1b[0m": "", "\x1b[31m": "r", "\x1b[32m": "g", "\x1b[33m": "y"}

// span is text of one colour that one event printed in one line.
type span struct {
	event, row, column int
	colour, text       string
}

var token = regexp.MustCompile(`\r\n|\x1b\[\d*m|[^\x00-\x1f\x7f]+|.|\n`)

// spans lays the text out, and returns it with the number of rows that there are after each event.
func (c Cast) spans() (all []span, rows []int, err error) {
	at := span{}
	for i, e := range c.Events {
		for _, t := range token.FindAllString(e.Text, -1) {
			colour, painted := colours[t]
			switch {
			case painted:
				at.colour = colour
			case t == "\r\n":
				at.row, at.column = at.row+1, 0
			case t[0] < ' ':
				return nil, nil, fmt.Errorf("event %d of the recording has %q, which this renderer does not know", i+1, t)
			default:
				at.event, at.text = i, t
				all = append(all, at)
				at.column += utf8.RuneCountInString(t)
			}
			if at.column > c.Width {
				return nil, nil, fmt.Errorf("line %d of the recording has more than %d columns", at.row+1, c.Width)
			}
		}
		rows = append(rows, at.row)
	}
	return all, rows, nil
}

// SVG returns the recording as an animation, which repeats. A reader without motion sees its end.
// It shows the text as a terminal of Width and Height does, which scrolls; it does not know control
// sequences but colours, and returns an error if there is one, or a line that is too long.
func (c Cast) SVG() ([]byte, error) {
	spans, rows, err := c.spans()
	if err != nil {
		return nil, err
	}
	width, height := float64(c.Width)*column, c.Height*row
	duration := c.Events[len(c.Events)-1].Time
	percent := func(event int) float64 { return 100 * c.Events[event].Time / duration }
	scroll := func(event int) int { return -row * max(0, rows[event]-c.Height) }
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" role="img" aria-label="%s">
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d7dde5;white-space:pre}
.r{fill:#ff8f88}.g{fill:#7ee08c}.y{fill:#f2cc60}
#s,#s text{animation:%gs step-end infinite}
`, width+2*margin, height+2*margin, width+2*margin, escaped("recording of "+c.Title), duration)
	fmt.Fprintf(&b, "#s{animation-name:s;transform:translateY(%dpx)}@keyframes s{0%%{transform:none}", scroll(len(rows)-1))
	for i := range rows {
		if i > 0 && scroll(i) != scroll(i-1) {
			fmt.Fprintf(&b, "%.2f%%{transform:translateY(%dpx)}", percent(i), scroll(i))
		}
	}
	b.WriteString("}\n")
	for i, s := range spans {
		if i == 0 || spans[i-1].event != s.event {
			fmt.Fprintf(&b, "#s .e%d{animation-name:e%d}@keyframes e%d{0%%{visibility:hidden}%.2f%%{visibility:visible}}\n", s.event, s.event, s.event, percent(s.event))
		}
	}
	fmt.Fprintf(&b, `@media (prefers-reduced-motion:reduce){#s,#s text{animation:none}}
</style>
<rect x=".5" y=".5" width="%.0f" height="%d" rx="8" fill="#161b22" stroke="#57606a"/>
<svg x="%d" y="%d" width="%.0f" height="%d"><g id="s">
`, width+2*margin-1, height+2*margin-1, margin, margin, width, height)
	for _, s := range spans {
		if strings.TrimSpace(s.text) == "" {
			continue
		}
		class := strings.TrimSpace(fmt.Sprintf("e%d %s", s.event, s.colour))
		fmt.Fprintf(&b, `<text class="%s" x="%.1f" y="%d" textLength="%.1f">%s</text>`+"\n",
			class, float64(s.column)*column, s.row*row+14, float64(utf8.RuneCountInString(s.text))*column, escaped(s.text))
	}
	b.WriteString("</g></svg>\n</svg>\n")
	return b.Bytes(), nil
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // into memory
	return b.String()
}
