package plain

import "io"

// Colour is that of a word on a terminal.
type Colour string

// The colours, as terminals number them.
const (
	NoColour Colour = ""
	Red      Colour = "31"
	Green    Colour = "32"
	Yellow   Colour = "33"
)

// ColoursWanted reports whether the environment of a terminal permits colours: NO_COLOR is empty,
// and TERM names a terminal that has them.
func ColoursWanted(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "" && getenv("TERM") != "dumb"
}

// Paint writes text, in a colour if w is a Writer with Colours. It escapes the text as Lines does.
func Paint(w io.Writer, c Colour, text string) error {
	terminal, ok := w.(*Writer)
	if !ok || !terminal.Colours || c == NoColour {
		_, err := io.WriteString(w, text)
		return err
	}
	if err := terminal.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(terminal.w, "\x1b["+string(c)+"m"+Lines(text)+"\x1b[0m")
	return err
}
