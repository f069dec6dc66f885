package preflight

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// delimiters are what people put between cells in place of the comma, with their names.
var delimiters = []struct {
	char rune
	name string
}{{';', "semicolons"}, {'\t', "tabs"}, {'|', "vertical bars"}}

// table judges header and rows. The rows are read by RFC 4180, with any end of line.
func (c *check) table() {
	if !bytes.Contains(c.head, []byte("\n")) && bytes.Contains(bytes.TrimRight(c.head, "\r"), []byte("\r")) {
		c.fault(CarriageReturns, "the lines of the file end in CR alone, as on old Macs; end them in LF (tr '\\r' '\\n')")
		return
	}
	rows := c.reader(',')
	header, err := rows.Read()
	if err != nil || len(header) == 1 && !c.fields().knows(header[0]) {
		rows, header, err = c.delimited(rows, header, err)
	}
	if c.unfinished(rows, err) {
		c.longRow(0, 1)
		return
	}
	if err != nil {
		c.badQuotes(0, err)
		return
	}
	header = slices.Clone(header)
	c.judgeHeader(header)
	c.judgeEncoding(rows, header, header, 0)
	c.judgeRows(rows, header)
}

func (c *check) reader(comma rune) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(c.head))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma, -1, true
	return r
}

// delimited takes a header that commas do not separate apart by the delimiter that gives the most
// cells, if one does, so that the columns can be judged all the same.
func (c *check) delimited(rows *csv.Reader, header []string, err error) (*csv.Reader, []string, error) {
	name, most := "", 1
	for _, d := range delimiters {
		other := c.reader(d.char)
		if cells, fault := other.Read(); fault == nil && len(cells) > most {
			rows, header, err, name, most = other, cells, nil, d.name, len(cells)
		}
	}
	if name != "" {
		c.fault(WrongDelimiter, "the cells are separated by %s, and the platform would read one column; separate them by commas", name)
	}
	return rows, header, err
}

// unfinished reports whether the row that was read last may continue behind the head, and is
// therefore not to be judged.
func (c *check) unfinished(rows *csv.Reader, err error) bool {
	return !c.whole && int(rows.InputOffset()) == len(c.head) && (err != nil || c.head[len(c.head)-1] != '\n')
}

func (c *check) judgeRows(rows *csv.Reader, header []string) {
	for {
		start := rows.InputOffset()
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if c.unfinished(rows, err) {
			if rows.InputOffset()-start > int64(len(c.head)/2) {
				c.longRow(c.report.Rows+1, 0)
			}
			return
		}
		c.report.Rows++
		if err != nil {
			c.badQuotes(c.report.Rows, err)
			continue
		}
		if len(record) != len(header) {
			line, _ := rows.FieldPos(0)
			c.found(Finding{Kind: CellCount, Row: c.report.Rows, Line: line, Message: fmt.Sprintf(
				"line %d has %s, and the header has %s; write an empty cell where there is no value, and quote a cell that contains a comma",
				line, counted(len(record)), counted(len(header)))})
		}
		c.judgeEncoding(rows, header, record, c.report.Rows)
	}
	if c.report.Rows == 0 && c.whole {
		c.fault(HeaderOnly, "the file has a header and no row; add the rows")
	}
}

// counted is a number of cells in words.
func counted(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", n)
}

// judgeEncoding reports the first cell that is not UTF-8.
func (c *check) judgeEncoding(rows *csv.Reader, header, record []string, row int) {
	if c.badUTF8 {
		return
	}
	for i, cell := range record {
		if utf8.ValidString(cell) {
			continue
		}
		c.badUTF8 = true
		line, _ := rows.FieldPos(i)
		f := Finding{Kind: InvalidUTF8, Row: row, Line: line, Message: fmt.Sprintf(
			"line %d is not UTF-8, and may be Latin-1 or Windows-1252; save the file as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8)", line)}
		if i < len(header) {
			f.Column = shown(header[i])
		}
		c.found(f)
		return
	}
}

// badQuotes reports a row that cannot be taken apart.
func (c *check) badQuotes(row int, err error) {
	var at *csv.ParseError
	if !errors.As(err, &at) {
		return // nothing else fails in memory
	}
	what := "has a quoted cell that does not end, or continues behind its closing quote"
	if errors.Is(err, csv.ErrBareQuote) {
		what = "has a quote within a cell that does not begin with one"
	}
	c.found(Finding{Kind: Quoting, Row: row, Line: at.StartLine, Message: fmt.Sprintf(
		`line %d %s; put such a cell in quotes, and double the quotes in it: "5"" disk"`, at.StartLine, what)})
}

func (c *check) longRow(row, line int) {
	what := "the header"
	if row > 0 {
		what = fmt.Sprintf("row %d", row)
	}
	c.found(Finding{Kind: LongRow, Severity: Warning, Row: row, Line: line, Message: fmt.Sprintf(
		"%s does not end in the first %d KiB of the file; check that it is CSV, and that every quote is closed", what, HeadSize>>10)})
}
