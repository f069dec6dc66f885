package plain

import (
	"io"

	"golang.org/x/term"
)

// IsTerminal reports whether w is a terminal, which obeys some of what is written to it.
func IsTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// Writer writes what comes as Lines returns it, however it is cut into pieces.
type Writer struct {
	// Colours permits Paint to use them.
	Colours bool
	w       io.Writer
	rest    []byte // the beginning of a character, or a carriage return
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if len(w.rest) == 0 && isPlain(p) {
		return w.w.Write(p)
	}
	escaped, rest := appendLines(nil, append(w.rest, p...), false)
	w.rest = append([]byte(nil), rest...)
	if _, err := w.w.Write(escaped); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what waits for more. Call it at the end.
func (w *Writer) Flush() error {
	escaped, _ := appendLines(nil, w.rest, true)
	w.rest = nil
	_, err := w.w.Write(escaped)
	return err
}
