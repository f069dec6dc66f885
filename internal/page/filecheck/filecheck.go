// Package filecheck shows what was found in the beginning of a file that is to be submitted.
package filecheck

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"receiver/internal/preflight"
	"receiver/internal/words"
)

// File is what was found in the beginning of a file, as the page shows it.
type File struct {
	Name string
	preflight.Report
	// Part says that only the beginning of the file was read.
	Part bool
	// Encoding is in words; Bad is true if the platform cannot read it.
	Encoding string
	Bad      bool
	// Judged are the columns of the file and those that it lacks, and MoreColumns how many are not
	// listed here.
	Judged      []judged
	MoreColumns int
	// Others are the findings that are about no column.
	Others []preflight.Finding
	// Header and First are the first cells of the first rows, Cut says that there are more columns.
	Header []string
	First  [][]string
	Cut    bool
}

// judged is a column and what is said of it.
type judged struct {
	Name, Word, Nearest, Class string
	Notes                      []string
}

const (
	// These bound what is shown of a file: columns, rows, cells of a row, and characters of a cell.
	columnsShown, rowsShown, cellsShown, cellShown = 150, 5, 20, 60
)

// New makes what is shown of a file out of its beginning and what was found in it.
func New(name string, head []byte, r preflight.Report) *File {
	c := &File{Name: name, Report: r, Part: len(head) > preflight.HeadSize, Encoding: "UTF-8"}
	if c.Part {
		head = head[:preflight.HeadSize]
	}
	byColumn := map[string][]preflight.Finding{}
	for _, f := range r.Findings {
		if word := encodings[f.Kind]; word != "" {
			c.Encoding, c.Bad = word, true
		}
		if f.Column == "" || f.Row > 0 {
			c.Others = append(c.Others, f)
		} else {
			byColumn[f.Column] = append(byColumn[f.Column], f)
		}
	}
	// Findings are listed in part only, those of columns before those of rows.
	whole := r.More == 0 || r.Findings[len(r.Findings)-1].Row > 0
	var all, missing []judged
	for i, column := range r.Columns {
		if strings.TrimSpace(column) == "" {
			all = append(all, judged{Name: fmt.Sprintf("column %d", i+1), Word: "no name", Class: "bad"})
			continue
		}
		found := byColumn[strings.TrimSpace(column)]
		delete(byColumn, strings.TrimSpace(column))
		all = append(all, judge(column, found, r.Compared, whole))
	}
	for _, f := range r.Findings { // in their order: the columns that are not in the file
		if found := byColumn[f.Column]; len(found) > 0 && f.Row == 0 {
			missing = append(missing, judge(f.Column, found, true, whole))
			delete(byColumn, f.Column)
		}
	}
	c.Judged = append(missing, all...)
	slices.SortStableFunc(c.Judged, func(a, b judged) int { return rank[a.Class] - rank[b.Class] })
	if more := len(c.Judged) - columnsShown; more > 0 {
		c.Judged, c.MoreColumns = c.Judged[:columnsShown], more
	}
	if len(r.Columns) > 0 {
		c.rows(head)
	}
	return c
}

// rank has what needs attention shown first.
var rank = map[string]int{"bad": 0, "mixed": 1, "good": 2}

// encodings are the words for what is no UTF-8, by the finding.
var encodings = map[preflight.Kind]string{
	preflight.ByteOrderMark: "UTF-8 with a byte order mark", preflight.UTF16: "UTF-16", preflight.UTF32: "UTF-32",
	preflight.InvalidUTF8: "not UTF-8", preflight.Binary: "not text", preflight.Compressed: "compressed", preflight.Spreadsheet: "a spreadsheet",
}

// columnWords are the words for a column, by the finding.
var columnWords = map[preflight.Kind]string{
	preflight.UnknownColumn: "unknown", preflight.MissingColumn: "required, missing", preflight.MissingKey: "identifies rows, missing",
	preflight.ColumnCase: "differs in case", preflight.ReadOnlyColumn: "read only", preflight.DuplicateColumn: "twice", preflight.PaddedColumn: "spaces around the name",
	preflight.InvalidUTF8: "not UTF-8",
}

// plainly are the kinds whose word says it all; an unknown column that is only a warning may be
// mapped by the platform.
var plainly = map[preflight.Kind]bool{
	preflight.UnknownColumn: true, preflight.MissingColumn: true, preflight.MissingKey: true, preflight.ColumnCase: true,
}

// judge says of a column what its worst finding is.
func judge(name string, found []preflight.Finding, compared, whole bool) judged {
	j := judged{Name: name, Word: "known", Class: "good"}
	switch {
	case len(found) == 0 && !whole:
		j.Word, j.Class = "not checked", ""
	case !compared:
		j.Word, j.Class = "not compared", ""
	}
	for i, f := range found {
		class := "mixed"
		if f.Severity == preflight.Error {
			class = "bad"
		}
		if i == 0 || class == "bad" && j.Class != "bad" {
			j.Word, j.Class = columnWords[f.Kind], class
			if j.Word == "" {
				j.Word = strings.ReplaceAll(string(f.Kind), "_", " ")
			}
		}
		if f.Nearest != "" {
			j.Nearest = f.Nearest
		}
		if !plainly[f.Kind] || class == "mixed" && f.Kind == preflight.UnknownColumn {
			j.Notes = append(j.Notes, f.Message)
		}
	}
	return j
}

// rows reads the first rows, for a look at them.
func (c *File) rows(head []byte) {
	r := csv.NewReader(bytes.NewReader(head))
	r.FieldsPerRecord = -1
	for len(c.First) < rowsShown {
		cells, err := r.Read()
		if err != nil || c.Part && int(r.InputOffset()) == len(head) {
			return
		}
		if len(cells) > cellsShown {
			cells, c.Cut = cells[:cellsShown], true
		}
		for i, cell := range cells {
			if runes := []rune(cell); len(runes) > cellShown {
				cells[i] = string(runes[:cellShown]) + "…"
			}
		}
		if c.Header == nil {
			c.Header = cells
			continue
		}
		for len(cells) < len(c.Header) {
			cells = append(cells, "")
		}
		c.First = append(c.First, cells)
	}
}

// Warnings is how many findings that are listed are none.
func (c *File) Warnings() (n int) {
	for _, f := range c.Findings {
		if f.Severity != preflight.Error {
			n++
		}
	}
	return n
}

// Sum says in one line what was found.
func (c *File) Sum() string {
	of := words.Count(c.Rows, "row")
	if c.Part {
		of = fmt.Sprintf("the first %s", of)
	}
	found := "no errors"
	if c.Errors > 0 {
		found = words.Count(c.Errors, "error")
	}
	if n := c.Warnings(); n > 0 {
		found += ", " + words.Count(n, "warning")
	}
	return found + " in " + of
}
