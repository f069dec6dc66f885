package submit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxRow bounds one row of a result, and so the memory of reading any.
const maxRow = 8 << 20

var errLongRow = fmt.Errorf("row is longer than %d MiB", maxRow>>20)

// Normalise reads a JSON result in any of the shapes the platform sends (one object per line, an
// array, or a single object) and gives one compact JSON value per line. It holds one row in memory,
// at most 8 MiB. Invalid or incomplete JSON is an error after the rows before it. OC: (a) row 16.
func Normalise(r io.Reader) io.Reader { return &lines{in: bufio.NewReader(r)} }

// lines turns rows into lines. Its state is the function that finds the next row.
type lines struct {
	in   *bufio.Reader
	feed *capped
	rows *json.Decoder
	next func() (json.RawMessage, error)
	n    int // rows given
	line bytes.Buffer
	err  error
}

func (l *lines) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if l.line.Len() == 0 && l.err == nil {
		l.err = l.fill()
	}
	if l.line.Len() > 0 {
		return l.line.Read(p)
	}
	return 0, l.err
}

// fill puts the next row into line.
func (l *lines) fill() error {
	if l.next == nil {
		if err := l.start(); err != nil {
			return err
		}
	}
	l.feed.limit = l.rows.InputOffset() + maxRow
	row, err := l.next()
	if err == nil {
		err = json.Compact(&l.line, row)
	}
	if err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("reading row %d of the result: %w", l.n+1, err)
	}
	l.line.WriteByte('\n')
	l.n++
	return nil
}

// start looks at the first byte that is not space to learn the shape.
func (l *lines) start() error {
	first, err := firstRune(l.in)
	if err == io.EOF {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	l.feed = &capped{r: l.in, limit: maxRow}
	l.rows = json.NewDecoder(l.feed)
	l.next = l.value
	if first == '[' {
		l.next = l.element
		_, err = l.rows.Token()
	}
	return err
}

// firstRune returns the first rune that is not space, leaving it unread.
func firstRune(r *bufio.Reader) (rune, error) {
	for n := 0; ; n++ {
		first, _, err := r.ReadRune()
		if err != nil {
			return 0, err
		}
		byteOrderMark := n == 0 && first == '\uFEFF'
		if !byteOrderMark && !strings.ContainsRune(jsonSpace, first) {
			return first, r.UnreadRune()
		}
	}
}

// value is the next of rows that follow each other.
func (l *lines) value() (json.RawMessage, error) {
	var row json.RawMessage
	err := l.rows.Decode(&row)
	return row, err
}

// element is the next of the rows of an array, after which nothing may follow.
func (l *lines) element() (json.RawMessage, error) {
	if l.rows.More() {
		row, err := l.value()
		return row, unexpected(err)
	}
	if _, err := l.rows.Token(); err != nil {
		return nil, unexpected(err)
	}
	_, err := l.rows.Token()
	if err == nil {
		err = errors.New("there is data after the end of the array")
	}
	return nil, err
}

// unexpected makes the end of input inside an array an error.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// capped reads up to a limit that is moved along as rows are used up.
type capped struct {
	r           io.Reader
	read, limit int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.read >= c.limit {
		return 0, errLongRow
	}
	n, err := c.r.Read(p)
	c.read += int64(n)
	return n, err
}
