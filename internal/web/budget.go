package web

import (
	"errors"
	"io"
	"sync/atomic"
)

// budget bounds what the bodies under way take together. Nobody has proved anything while
// they come, and a limit for each body bounds nothing where anybody can open connections.
type budget struct{ left atomic.Int64 }

// errNoRoom is returned while reading a body that the budget has no room for.
var errNoRoom = errors.New("too many large bodies at once")

// share is what one body has taken of a budget. Its first atOnce bytes take nothing, so that
// whoever has used the budget up keeps no usual callback out.
type share struct {
	from        *budget
	size, taken int64
}

func (s *share) grow(n int64) error {
	s.size += n
	n = max(0, s.size-atOnce-s.taken)
	if s.from.left.Add(-n) < 0 {
		s.from.left.Add(n)
		return errNoRoom
	}
	s.taken += n
	return nil
}

// giveBack returns what was taken; nil has taken nothing.
func (s *share) giveBack() {
	if s != nil {
		s.from.left.Add(s.taken)
	}
}

// meteredReader takes a share of what it reads.
type meteredReader struct {
	io.Reader
	share *share
}

func (r meteredReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if e := r.share.grow(int64(n)); e != nil {
		return n, e
	}
	return n, err
}
