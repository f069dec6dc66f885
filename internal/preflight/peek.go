package preflight

import (
	"bufio"
	"errors"
	"io"
)

// Peek returns the beginning of r, at most HeadSize bytes, whether r ends there, and a reader of
// all of r from its first byte. It reads until it has HeadSize bytes, or until r ends or fails: as
// long as r is silent it waits, so the caller has to end r when nobody waits any more. After an
// error there is nothing to read from rest.
func Peek(r io.Reader) (head []byte, whole bool, rest io.Reader, err error) {
	b := bufio.NewReaderSize(r, HeadSize+1)
	// One byte more tells a file of exactly HeadSize bytes from a longer one.
	head, err = b.Peek(HeadSize + 1)
	switch {
	case errors.Is(err, io.EOF):
		return head, true, b, nil
	case err != nil:
		return nil, false, nil, err
	}
	return head[:HeadSize], false, b, nil
}
