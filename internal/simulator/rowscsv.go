package simulator

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
)

// readCSV reads a header row and rows that must have as many fields as it. OC: 3
func (c *content) readCSV(f *fence, r io.Reader) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = -1
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil {
		if err != io.EOF && f.err == nil {
			c.refuse("the header row cannot be read: " + csvFault(err))
		}
		return
	}
	c.columns = slices.Clone(header)
	for {
		f.mark = rows.InputOffset()
		record, err := rows.Read()
		if err == io.EOF || f.err != nil {
			return
		}
		c.csvRow(record, err)
		if errors.Is(err, errRowTooLong) {
			return
		}
	}
}

func (c *content) csvRow(record []string, err error) {
	if err != nil {
		c.refuse(csvFault(err))
		return
	}
	if len(record) != len(c.columns) {
		c.refuse(fmt.Sprintf("has %d fields, the header row has %d", len(record), len(c.columns)))
		return
	}
	for i, name := range c.columns {
		if !isEmailColumn(name) {
			continue
		}
		if why := emailFault(name, record[i]); why != "" {
			c.refuse(why)
			return
		}
	}
	c.accept(func() []byte { return csvObject(c.columns, record) })
}

// csvFault leaves out the place, which the row number says already.
func csvFault(err error) string {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return parse.Err.Error()
	}
	return err.Error()
}

func csvObject(columns, record []string) []byte {
	fields := make([]field, len(columns))
	for i, name := range columns {
		fields[i] = field{name, record[i]}
	}
	return plain(fields)
}
