package simulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
)

// readLines reads one JSON object per line. OC: 3
func (c *content) readLines(f *fence, r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRow)
	f.mark = math.MaxInt64 // the scanner bounds a line itself
	for lines.Scan() {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			c.jsonRow(line)
		}
	}
	if lines.Err() != nil && f.err == nil {
		c.refuse(errRowTooLong.Error())
	}
}

// readArray reads one JSON array of objects. Bytes after a syntax error are not read as rows.
func (c *content) readArray(f *fence, r io.Reader) {
	rows := json.NewDecoder(r)
	_, _ = rows.Token() // the '[' that was seen already
	for rows.More() {
		f.mark = rows.InputOffset()
		var row json.RawMessage
		if err := rows.Decode(&row); err != nil {
			c.refuseRest(f, err)
			return
		}
		c.jsonRow(row)
	}
	f.mark = rows.InputOffset()
	if _, err := rows.Token(); err != nil {
		c.refuseRest(f, err)
		return
	}
	if _, err := rows.Token(); !errors.Is(err, io.EOF) {
		c.refuseRest(f, errors.New("there is data after the array"))
	}
}

// refuseRest counts what cannot be read any more as one bad row, unless the upload itself broke
// off.
func (c *content) refuseRest(f *fence, err error) {
	if f.err == nil {
		c.refuse("the rest was not read: " + err.Error())
	}
}

func (c *content) jsonRow(raw []byte) {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(raw, &row); err != nil || row == nil {
		c.refuse("is not a JSON object")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(row)) {
		if !isEmailColumn(name) {
			continue
		}
		var address string
		if json.Unmarshal(row[name], &address) != nil {
			c.refuse(name + " is not a text")
			return
		}
		if why := emailFault(name, address); why != "" {
			c.refuse(why)
			return
		}
	}
	c.accept(func() []byte { return compact(raw) })
}

// compact puts a row on one line, as JSON lines need it.
func compact(raw []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return bytes.Clone(raw) // cannot be: it was read as JSON before
	}
	return b.Bytes()
}
