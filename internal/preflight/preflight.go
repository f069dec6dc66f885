// Package preflight judges the beginning of a file before it is uploaded: whether it is a table in
// UTF-8, whether its rows are whole, and whether its columns are fields of the platform's object.
// Use it wherever a file comes in, by a command or by HTTP.
//
// It reads bytes and returns a report. It never asks the platform: the caller brings the fields.
// It does not check what follows the first 64 KiB of a file, nor the values in cells.
package preflight

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"receiver/internal/plain"
)

const (
	// HeadSize is how many bytes of a file are checked.
	HeadSize = 64 << 10
	// MaxFindings is how many findings a report lists. Report.More counts the others.
	MaxFindings = 50
	// maxShown is how many characters of a name from outside are repeated.
	maxShown = 100
)

// Severity is the weight of a finding.
type Severity string

// An error means that the platform cannot read the file as it is meant: do not upload it. A
// warning may be right.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Kind is what a finding is about. Kinds are stable: programs may compare them.
type Kind string

// The kinds. Each is an error, unless its comment says otherwise.
const (
	EmptyFile       Kind = "empty_file"           // nothing, or blanks only
	HeaderOnly      Kind = "header_only"          // a header without a row
	ByteOrderMark   Kind = "byte_order_mark"      // UTF-8, with a mark that becomes part of the first name
	UTF16           Kind = "utf16"                // UTF-16, with or without a mark
	UTF32           Kind = "utf32"                // UTF-32 with a mark
	InvalidUTF8     Kind = "invalid_utf8"         // text in another encoding; the first place only
	Binary          Kind = "binary"               // PDF, or bytes that are no text
	Compressed      Kind = "compressed"           // gzip, zip and others
	Spreadsheet     Kind = "spreadsheet"          // a file of Excel
	HTML            Kind = "html"                 // HTML or XML
	JSON            Kind = "json"                 // JSON that is not announced as such
	CarriageReturns Kind = "carriage_returns"     // lines that end in CR alone
	WrongDelimiter  Kind = "wrong_delimiter"      // semicolons, tabs or bars between the cells
	Quoting         Kind = "quoting"              // quotes that are not closed or not doubled
	CellCount       Kind = "cell_count"           // a row with more or fewer cells than the header
	LongRow         Kind = "long_row"             // a warning: a row that does not end where the head ends
	EmptyColumn     Kind = "empty_column"         // a column without a name
	DuplicateColumn Kind = "duplicate_column"     // a name that an earlier column has
	PaddedColumn    Kind = "padded_column"        // spaces around a name
	ColumnCase      Kind = "column_case"          // a warning: the name of a field but for upper and lower case
	UnknownColumn   Kind = "unknown_column"       // no field has this name; a warning for a mapped object
	ReadOnlyColumn  Kind = "read_only_column"     // a warning: the platform does not write this field
	MissingColumn   Kind = "missing_column"       // a required field has no column; a warning for a mapped object, and if rows have a key
	MissingKey      Kind = "missing_key"          // the field that identifies rows has no column
	UnknownObject   Kind = "unknown_object"       // the platform has no such object
	NotCompared     Kind = "columns_not_compared" // a warning: the fields of the object are not known
)

// Kinds lists all kinds.
func Kinds() []Kind {
	return []Kind{
		EmptyFile, HeaderOnly, ByteOrderMark, UTF16, UTF32, InvalidUTF8, Binary, Compressed, Spreadsheet, HTML, JSON, CarriageReturns,
		WrongDelimiter, Quoting, CellCount, LongRow, EmptyColumn, DuplicateColumn, PaddedColumn, ColumnCase, UnknownColumn,
		ReadOnlyColumn, MissingColumn, MissingKey, UnknownObject, NotCompared,
	}
}

// File is the beginning of a file, and what is sent with it.
type File struct {
	// Name is the file's name; its extension tells JSON and spreadsheets from CSV. Without one,
	// the file is CSV.
	Name string
	// Metadata is the metaData for the platform, a JSON object; empty without one. Its format,
	// action, identifierFieldName and primaryKeyName count.
	Metadata string
	// Head is the beginning of the file; Check reads HeadSize bytes of it at most.
	Head []byte
	// Whole says that the file ends where Head ends.
	Whole bool
}

// Target is what is known of the object that the rows go to. The zero value is nothing: the columns
// are not compared, and the report does not warn of it.
type Target struct {
	// Object is the name that the upload gives.
	Object string
	// Fields are the object's fields; without one, no column is compared.
	Fields []Field
	// Mapped says that the platform maps names of its own to the object, and that a column may
	// have a name which is no field.
	Mapped bool
	// Missing says that the platform has no such object; Objects are those that it has.
	Missing bool
	Objects []string
	// Unknown says why Fields is empty, if it is worth a warning.
	Unknown string
}

// Field is a field of an object.
type Field struct {
	// Name is the path that a column has as its name, such as address.street.
	Name string
	// Display is the name that people see; it helps to suggest the right one.
	Display  string
	Required bool
	ReadOnly bool
}

// Report is what was found. Names in it are cut to 100 characters and have their control characters
// escaped.
type Report struct {
	// Format is csv, json or spreadsheet; of the last two only the encoding is checked.
	Format string `json:"format"`
	// Columns are the names in the header, in order; empty if the file is no table.
	Columns []string `json:"columns"`
	// Rows is how many rows below the header were checked: all of them, if the file is short.
	Rows int `json:"rows"`
	// Compared says whether the columns were compared with the object's fields.
	Compared bool `json:"compared"`
	// Errors is how many findings are errors, with those that are not listed.
	Errors int `json:"errors"`
	// Findings are at most MaxFindings: the file as a whole first, then columns, then rows.
	Findings []Finding `json:"findings"`
	// More is how many findings are not listed.
	More int `json:"more"`
}

// Finding is one fault of a file.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Severity Severity `json:"severity"`
	// Column is the name of the column, if the finding is about one.
	Column string `json:"column,omitempty"`
	// Nearest is the name that was probably meant, of a field or an object; empty if none is near.
	Nearest string `json:"nearest,omitempty"`
	// Row is the row, if the finding is about one: 1 is the first below the header. Line is where
	// it begins in the file; lines are more than rows if cells have line breaks.
	Row  int `json:"row,omitempty"`
	Line int `json:"line,omitempty"`
	// Message says what is wrong and what to do, in one line.
	Message string `json:"message"`
}

// Check judges the beginning of a file that is to be uploaded to an object. It takes any bytes.
// The work is bounded by HeadSize, and grows with the number of fields.
func Check(f File, t Target) Report {
	c := &check{
		file: f, target: t, head: f.Head, whole: f.Whole,
		report: Report{Format: "csv", Columns: []string{}, Findings: []Finding{}},
	}
	if len(c.head) > HeadSize {
		c.head, c.whole = c.head[:HeadSize], false
	}
	// Metadata that is no object is the caller's to refuse.
	_ = json.Unmarshal([]byte(f.Metadata), &c.meta)
	c.report.Format = c.format()
	if c.isText() && c.report.Format == "csv" {
		c.table()
	}
	return c.report
}

// check is one call of Check.
type check struct {
	file    File
	target  Target
	head    []byte
	whole   bool
	meta    metadata
	report  Report
	index   *index // made by fields
	badUTF8 bool   // was reported
}

// metadata is what counts of the metaData of an upload. OC: section 3.
type metadata struct {
	Format, Action, IdentifierFieldName, PrimaryKeyName string
}

// key is the name of the field that identifies rows; empty if the upload names none.
func (m metadata) key() string {
	if m.IdentifierFieldName != "" {
		return m.IdentifierFieldName
	}
	return m.PrimaryKeyName
}

// format says what the file is by its name and its metadata.
func (c *check) format() string {
	switch ext := strings.ToLower(filepath.Ext(c.file.Name)); ext {
	case ".xls", ".xlsx":
		return "spreadsheet"
	case ".json", ".jsonl", ".ndjson":
		return "json"
	}
	if strings.Contains(strings.ToLower(c.meta.Format), "json") {
		return "json"
	}
	return "csv"
}

// found adds a finding to the report.
func (c *check) found(f Finding) {
	if f.Severity == "" {
		f.Severity = Error
	}
	if f.Severity == Error {
		c.report.Errors++
	}
	if len(c.report.Findings) == MaxFindings {
		c.report.More++
		return
	}
	c.report.Findings = append(c.report.Findings, f)
}

// full says that a further finding would be counted only.
func (c *check) full() bool { return len(c.report.Findings) == MaxFindings }

// fault adds an error about the whole file.
func (c *check) fault(k Kind, format string, args ...any) {
	c.found(Finding{Kind: k, Message: fmt.Sprintf(format, args...)})
}

// shown is a name from outside as a report repeats it.
func shown(name string) string {
	n := 0
	for i := range name {
		if n == maxShown {
			return plain.Text(name[:i]) + "…"
		}
		n++
	}
	return plain.Text(name)
}
