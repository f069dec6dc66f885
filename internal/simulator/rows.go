package simulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of what is kept of one upload, whatever its size.
const (
	maxRow       = 1 << 20 // bytes of one row; what follows a longer one is not read as rows
	maxKept      = 10_000  // good rows kept as the result
	maxKeptBytes = 4 << 20 // of those rows
	maxErrors    = 10_000  // texts kept for GET errors
)

// content is what is kept of a file: counts, and the first rows and errors.
type content struct {
	format  string            // "csv" or "json"
	size    int64             // bytes read
	records int               // all rows, failed ones included. OC: (b) row 22
	failed  int               // rows refused
	errors  []string          // the first maxErrors refusals
	columns []string          // of a CSV file
	kept    []json.RawMessage // the first good rows, as objects
	bytes   int               // of kept
}

func (c *content) refuse(why string) {
	c.records++
	c.failed++
	if len(c.errors) < maxErrors {
		c.errors = append(c.errors, fmt.Sprintf("row %d: %.200s", c.records, why))
	}
}

// accept counts a good row; row is asked for it only while there is room.
func (c *content) accept(row func() []byte) {
	c.records++
	if len(c.kept) < maxKept && c.bytes < maxKeptBytes {
		kept := row()
		c.kept, c.bytes = append(c.kept, kept), c.bytes+len(kept)
	}
}

// fail makes rows fail that are good in themselves, from the first on, until n have failed in all.
func (c *content) fail(n int) {
	if n == AllRows || n > c.records {
		n = c.records
	}
	more := n - c.failed
	if more <= 0 {
		return
	}
	c.failed = n
	c.kept = c.kept[min(more, len(c.kept)):]
	for i := 0; i < more && len(c.errors) < maxErrors; i++ {
		c.errors = append(c.errors, fmt.Sprintf("Conflicts Found - record %d was refused by the provider", i+1))
	}
}

// fence hands out a file's bytes and stops when one row has taken too many of them.
type fence struct {
	r    io.Reader
	read int64 // bytes handed out
	mark int64 // where the current row began
	err  error // what the reader below ended with, when that was not the end of the file
}

var errRowTooLong = errors.New("the row is longer than the simulator reads")

func (f *fence) Read(b []byte) (int, error) {
	if f.read-f.mark > maxRow+bufferSize {
		return 0, errRowTooLong
	}
	n, err := f.r.Read(b)
	f.read += int64(n)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

const bufferSize = 64 << 10

// readRows reads a whole file in bounded memory. The error is the reader's own: the file broke off.
func readRows(r io.Reader, format string) (content, error) {
	f := &fence{r: r}
	buffered := bufio.NewReaderSize(f, bufferSize)
	c := content{format: format}
	first := firstByte(buffered)
	if c.format == "" {
		c.format = sniffed(first)
	}
	switch {
	case c.format == "csv":
		c.readCSV(f, buffered)
	case first == '[':
		c.readArray(f, buffered)
	default:
		c.readLines(f, buffered)
	}
	if f.err == nil {
		rest, err := io.Copy(io.Discard, r)
		f.read, f.err = f.read+rest, err
	}
	c.size = f.read
	return c, f.err
}

// firstByte skips a byte order mark and looks at the first byte that is no white space, 0 when
// there is none.
func firstByte(r *bufio.Reader) byte {
	if mark, _ := r.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = r.Discard(3)
	}
	head, _ := r.Peek(512)
	if head = bytes.TrimLeft(head, " \t\r\n"); len(head) == 0 {
		return 0
	}
	return head[0]
}

func sniffed(first byte) string {
	if first == '[' || first == '{' {
		return "json"
	}
	return "csv"
}

func isEmailColumn(name string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSpace(name)), "emailaddress")
}

// emailFault says what is wrong with an address, "" when nothing is.
func emailFault(column, address string) string {
	if address == "" {
		return column + " is empty"
	}
	local, domain, found := strings.Cut(address, "@")
	bad := !found || local == "" || strings.ContainsAny(address, " \t\r\n,;<>()") || strings.Contains(domain, "@")
	if dot := strings.LastIndexByte(domain, '.'); bad || dot < 1 || dot == len(domain)-1 {
		return fmt.Sprintf("74234: Invalid email address in %s: %.60q", column, address)
	}
	return ""
}
