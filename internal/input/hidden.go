package input

import (
	"context"
	"errors"
	"io"

	"golang.org/x/term"
)

// ReadHidden reads a line from a terminal that does not show it meanwhile. When ctx ends, the
// terminal shows again what is typed.
func ReadHidden(ctx context.Context, from io.Reader) (string, error) {
	f, ok := from.(interface{ Fd() uintptr })
	if !ok {
		return "", errors.New("standard input is no terminal")
	}
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		return string(l.text), l.err
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), term.Restore(fd, before))
	}
}
