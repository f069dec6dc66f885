package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrLeaf is returned by ParseLeafLines for bytes that are no leaf of this format.
var ErrLeaf = errors.New("malformed leaf")

// ParseLeafLines decodes a leaf. Of an absent leaf only Stream and Seq are set, and absent is
// true. Every leaf has exactly one encoding: what ParseLeafLines accepts, AppendLeaf (or
// AbsentLeaf) writes again byte for byte. Anything else is ErrLeaf. The record owns its
// memory. Its headers are in Lines if they can be: a name without any value is no line.
func ParseLeafLines(leaf []byte) (r Record, absent bool, err error) {
	rest, ok := strings.CutPrefix(string(leaf), leafTag)
	if !ok || rest == "" {
		return Record{}, false, fmt.Errorf("%w: it does not start with the format tag", ErrLeaf)
	}
	d := leafDecoder{rest: rest[1:]}
	switch rest[0] {
	case leafRecord:
		r = d.record()
	case leafAbsent:
		r, absent = Record{Stream: d.string(), Seq: d.uint64()}, true
	default:
		d.fail("unknown kind %#02x", rest[0])
	}
	if d.err == nil && d.rest != "" {
		d.fail("surplus after the end, of length %d", len(d.rest))
	}
	if d.err != nil {
		return Record{}, false, d.err
	}
	return r, absent, nil
}

// leafDecoder reads fields from the front of rest. After the first error every read
// returns zero values.
type leafDecoder struct {
	rest string
	err  error
}

func (d *leafDecoder) record() Record {
	r := Record{
		Stream:  d.string(),
		Seq:     d.uint64(),
		Subject: d.string(),
		Time:    time.Unix(0, int64(d.uint64())).UTC(),
	}
	r.Header, r.Lines = d.header()
	r.Data = []byte(d.string())
	return r
}

func (d *leafDecoder) header() (map[string][]string, Lines) {
	n := d.uint32()
	lines := make(Lines, 0, min(n, 32))
	var bare []string // names without a value
	previous := ""
	for i := uint32(0); i < n && d.err == nil; i++ {
		name := d.string()
		if i > 0 && name <= previous {
			d.fail("header names out of order")
		}
		previous = name
		values := d.uint32()
		if values == 0 {
			bare = append(bare, name)
		}
		for v := uint32(0); v < values && d.err == nil; v++ {
			lines = append(lines, [2]string{name, d.string()})
		}
	}
	if bare == nil {
		return nil, lines
	}
	header := new(headers).whole(Record{Lines: lines}).Header
	for _, name := range bare {
		header[name] = nil
	}
	return header, nil
}

func (d *leafDecoder) string() string { return d.take(int64(d.uint32())) }

func (d *leafDecoder) uint32() uint32 {
	if b := d.take(4); b != "" {
		return binary.BigEndian.Uint32([]byte(b))
	}
	return 0
}

func (d *leafDecoder) uint64() uint64 {
	if b := d.take(8); b != "" {
		return binary.BigEndian.Uint64([]byte(b))
	}
	return 0
}

func (d *leafDecoder) take(n int64) string {
	if d.err != nil {
		return ""
	}
	if n > int64(len(d.rest)) {
		d.fail("it is truncated")
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *leafDecoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{ErrLeaf}, args...)...)
	}
}
