package preflight_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"

	"receiver/examples"
	"receiver/internal/growth"
	"receiver/internal/preflight"
)

// contact is an object of which the platform tells all.
var contact = preflight.Target{Object: "contact", Fields: []preflight.Field{
	{Name: "C_EmailAddress", Display: "EmailAddress", Required: true},
	{Name: "C_FirstName"}, {Name: "C_LastName"},
	{Name: "id", ReadOnly: true},
	{Name: "address.street", Required: true}, {Name: "address.city"}, {Name: "phones[*].number"}, {Name: "custom"},
}}

const (
	header = "C_EmailAddress,C_FirstName\n"
	rows   = header + "a@example.com,A\n"
)

// mapped is contact if the platform maps names to it.
func mapped() *preflight.Target {
	m := contact
	m.Mapped = true
	return &m
}

func wide(mark string, low int) string {
	b := []byte(mark)
	for _, u := range utf16.Encode([]rune(rows)) {
		pair := [2]byte{byte(u >> 8), byte(u)}
		b = append(b, pair[low], pair[1-low])
	}
	return string(b)
}

// promises are what is found in a file that is given whole, to contact unless target says
// otherwise. Each finding is "kind", "kind column" or "kind line:N row:N", and begins with ~ if it
// is a warning.
var promises = []struct {
	name, file, metadata, data string
	target                     *preflight.Target
	want                       []string
}{
	{name: "CSV", data: rows},
	{name: "CSV with CRLF", data: "C_EmailAddress,C_FirstName\r\na,b\r\n"},
	{name: "CSV without an end of line", data: "C_EmailAddress\na"},
	{name: "umlauts", data: header + "a,Jürgen\n"},
	{name: "line breaks in cells", data: header + "a,\"one\ntwo, \"\"three\"\"\"\nb,B\n"},
	{name: "blank lines", data: header + "\na,A\n\n"},
	{name: "a column without a value", data: header + "a,\n"},
	{name: "nothing to compare with", data: "anything\n1\n", target: &preflight.Target{}},

	{name: "empty", want: []string{"empty_file"}},
	{name: "blank", data: " \r\n\n", want: []string{"empty_file"}},
	{name: "a header only", data: header, want: []string{"header_only"}},
	{name: "a header only, without an end", data: "C_EmailAddress", want: []string{"header_only"}},
	{name: "a mark of UTF-8", data: "\ufeff" + rows, want: []string{"byte_order_mark"}},
	{name: "a mark of UTF-8 and nothing", data: "\ufeff", want: []string{"byte_order_mark", "empty_file"}},
	{name: "a mark of UTF-8 before JSON", file: "x.json", data: "\ufeff{}", want: []string{"byte_order_mark"}},
	{name: "UTF-16 LE", data: wide("\xff\xfe", 1), want: []string{"utf16"}},
	{name: "UTF-16 BE", data: wide("\xfe\xff", 0), want: []string{"utf16"}},
	{name: "UTF-16 LE without a mark", data: wide("", 1), want: []string{"utf16"}},
	{name: "UTF-16 BE without a mark", data: wide("", 0), want: []string{"utf16"}},
	{name: "UTF-32 LE", data: "\xff\xfe\x00\x00a\x00\x00\x00", want: []string{"utf32"}},
	{name: "UTF-32 BE", data: "\x00\x00\xfe\xff\x00\x00\x00a", want: []string{"utf32"}},
	{name: "Latin-1, once", data: header + "a,A\nb,J\xfcrgen\nc,\xfc\n", want: []string{"invalid_utf8 C_FirstName line:3 row:2"}},
	{name: "Latin-1 in the header", data: "C_EmailAddress,custom,\xfc\na,b,c\n", target: &preflight.Target{}, want: []string{`invalid_utf8 \xfc line:1`}},
	{
		name: "Latin-1 beside the columns", data: header + "a,A,\xfc\n",
		want: []string{"cell_count line:2 row:1", "invalid_utf8 line:2 row:1"},
	},
	{name: "Latin-1 in JSON", file: "x.jsonl", data: "{\"a\":\"\xfc\"}", want: []string{"invalid_utf8"}},
	{name: "NUL bytes", data: rows + "a\x00b,c\n", want: []string{"binary"}},
	{name: "NUL bytes only", data: strings.Repeat("\x00", 99), want: []string{"binary"}},
	{name: "a PDF", data: "%PDF-1.7", want: []string{"binary"}},
	{name: "zip", data: "PK\x03\x04rest", want: []string{"compressed"}},
	{name: "an empty zip", data: "PK\x05\x06", want: []string{"compressed"}},
	{name: "gzip", file: "x.csv.gz", data: "\x1f\x8b\x08", want: []string{"compressed"}},
	{name: "gzip as JSON", file: "x.json", data: "\x1f\x8b\x08", want: []string{"compressed"}},
	{name: "gzip as a spreadsheet", file: "x.xlsx", data: "\x1f\x8b\x08", want: []string{"compressed"}},
	{name: "xlsx as CSV", data: "PK\x03\x04..[Content_Types].xml", want: []string{"spreadsheet"}},
	{name: "xls as CSV", data: "\xd0\xcf\x11\xe0\x00", want: []string{"spreadsheet"}},
	{name: "xlsx, which one connector takes", file: "x.XLSX", data: "PK\x03\x04\x00[Content_Types].xml"},
	{name: "xls, which one connector takes", file: "x.xls", data: "\xd0\xcf\x11\xe0\x00"},
	{name: "HTML", data: "\n<!DOCTYPE html><html>", want: []string{"html"}},
	{name: "HTML as JSON", file: "x.json", data: "<html>", want: []string{"html"}},
	{name: "JSON", data: `{"message":"not found"}`, want: []string{"json"}},
	{name: "a JSON array", data: ` [1]`, want: []string{"json"}},
	{name: "JSON by its name", file: "x.jsonl", data: `{"email":"a"}`},
	{name: "JSON by its metadata", metadata: `{"format":"json"}`, data: `[{"email":"a"}]`},
	{name: "CR alone", data: "C_EmailAddress,custom\ra,b\r", want: []string{"carriage_returns"}},

	{name: "semicolons", data: "C_EmailAddress;C_FirstName\na,1;b\n", want: []string{"wrong_delimiter"}},
	{name: "semicolons and quotes", data: "\"C_EmailAddress\";\"C_FirstName\"\n\"a\";\"b\"\n", want: []string{"wrong_delimiter"}},
	{name: "tabs, and columns judged all the same", data: "C_EmailAddress\tnone\na\tb\n", want: []string{"wrong_delimiter", "unknown_column none"}},
	{name: "bars", data: "C_EmailAddress|custom\na|b\n", want: []string{"wrong_delimiter"}},
	{
		name: "a field with a semicolon in its name", data: "a;b\n1\n",
		target: &preflight.Target{Fields: []preflight.Field{{Name: "a;b"}}},
	},
	{
		name: "rows of other lengths", data: header + "\"a\n\",A\nb\nc,C\nd,D,D\n",
		want: []string{"cell_count line:4 row:2", "cell_count line:6 row:4"},
	},
	{name: "a quote in a cell", data: header + "a,A\nb,5\" disk\nc\n", want: []string{"quoting line:3 row:2", "cell_count line:4 row:3"}},
	{name: "a quote that is not doubled", data: header + "b,\"5\" disk\"\nc,C\n", want: []string{"quoting line:2 row:1"}},
	{name: "a quote that is not closed", data: header + "a,A\nb,\"B\nc,C\n", want: []string{"quoting line:3 row:2"}},
	{name: "a quote in the header", data: "a\"b,c\n1,2\n", want: []string{"quoting line:1"}},

	{name: "a column without a name", data: "C_EmailAddress, ,x\na,b,c\n", want: []string{"empty_column", "unknown_column x"}},
	{name: "a column twice", data: "C_EmailAddress,custom,custom,x\na,b,c,d\n", want: []string{"duplicate_column custom", "unknown_column x"}},
	{name: "spaces around a name", data: "C_EmailAddress, custom\u00a0\na,b\n", want: []string{"padded_column custom"}},
	{name: "spaces around an unknown name", data: "C_EmailAddress, x\na,b\n", want: []string{"padded_column x", "unknown_column x"}},
	{name: "another case", data: "c_emailaddress\na\n", want: []string{"~column_case c_emailaddress"}},
	{name: "an unknown column", data: "C_EmailAddress,age\na,1\n", want: []string{"unknown_column age"}},
	{
		name: "an unknown column of a mapped object", data: "mail\na\n", target: mapped(),
		want: []string{"~unknown_column mail", "~missing_column C_EmailAddress"},
	},
	{name: "a field that is only read", data: "C_EmailAddress,id\na,1\n", want: []string{"~read_only_column id"}},
	{name: "a field that is only read as the key", metadata: `{"identifierFieldName":"id"}`, data: "C_EmailAddress,id\na,1\n"},
	{name: "a part of a field that is listed whole", data: "C_EmailAddress,custom.part\na,1\n"},
	{name: "a part of a list", data: "C_EmailAddress,phones[0].number\na,1\n"},
	{name: "a field of which only parts are listed", data: "C_EmailAddress,address\na,1\n"},
	{name: "a required column", data: "C_FirstName\nA\n", want: []string{"missing_column C_EmailAddress"}},
	{name: "a required part", data: "C_EmailAddress,address.city\na,1\n", want: []string{"missing_column address.street"}},
	{name: "a required part of a column that is there whole", data: "C_EmailAddress,address,address.city\na,1,2\n"},
	{
		name: "a required column behind others that are there", data: "a\n1\n", want: []string{"missing_column c"},
		target: &preflight.Target{Fields: []preflight.Field{{Name: "a", Required: true}, {Name: "b.b", Required: true}, {Name: "c", Required: true}}},
	},
	{name: "no required column for an update", metadata: `{"action":"update"}`, data: "C_FirstName\nA\n"},
	{
		name: "a required column for rows with a key", metadata: `{"identifierFieldName":"id"}`, data: "id,custom\n1,A\n",
		want: []string{"~missing_column C_EmailAddress"},
	},
	{
		name: "a required column to create rows with a key", metadata: `{"identifierFieldName":"id","action":"create"}`, data: "id,custom\n1,A\n",
		want: []string{"missing_column C_EmailAddress"},
	},
	{name: "a required column that is the key", metadata: `{"primaryKeyName":"C_EmailAddress"}`, data: "custom\n1\n", want: []string{"missing_key C_EmailAddress"}},
	{
		name: "the key of an update", metadata: `{"action":"update","identifierFieldName":"no"}`, data: "custom\n1\n",
		want: []string{"missing_key no"},
	},
	{
		name: "an object that is not there", data: "anything\n1\n",
		target: &preflight.Target{Object: "contcat", Missing: true, Objects: []string{"contact"}}, want: []string{"unknown_object"},
	},
	{name: "fields that nobody knows", data: "anything\n1\n", target: &preflight.Target{Unknown: "503"}, want: []string{"~columns_not_compared"}},
}

func TestCheckSaysWhatIsWrongWithAFile(t *testing.T) {
	found := map[preflight.Kind]bool{preflight.LongRow: true} // which only a file that goes on has
	for _, tt := range promises {
		t.Run(tt.name, func(t *testing.T) {
			target := contact
			if tt.target != nil {
				target = *tt.target
			}
			report := preflight.Check(preflight.File{Name: tt.file, Metadata: tt.metadata, Head: []byte(tt.data), Whole: true}, target)
			if got := brief(report); !slices.Equal(got, tt.want) {
				t.Errorf("Check = %q, want %q", got, tt.want)
			}
			for _, f := range report.Findings {
				found[f.Kind] = true
			}
		})
	}
	for _, k := range preflight.Kinds() {
		if !found[k] {
			t.Errorf("no promise is about %s", k)
		}
		delete(found, k)
	}
	if len(found) > 0 {
		t.Errorf("Kinds leaves out %v", found)
	}
}

// brief is a report in the words of the table.
func brief(r preflight.Report) []string {
	var all []string
	for _, f := range r.Findings {
		s := string(f.Kind)
		if f.Severity == preflight.Warning {
			s = "~" + s
		}
		if f.Column != "" {
			s += " " + f.Column
		}
		if f.Line > 0 {
			s += fmt.Sprintf(" line:%d", f.Line)
		}
		if f.Row > 0 {
			s += fmt.Sprintf(" row:%d", f.Row)
		}
		all = append(all, s)
	}
	return all
}

func TestCheckSaysWhatToDo(t *testing.T) {
	target := contact
	target.Fields = append([]preflight.Field{{Name: "C_BusPhone", Display: "Business Phone"}}, contact.Fields...)
	for _, tt := range []struct{ data, want string }{
		{"business phone\na\n", "column business phone is no field of contact (did you mean C_BusPhone?); rename or remove it"},
		{"costumer\na\n", "column costumer is no field of contact; rename or remove it"},
		{"costom\na\n", "column costom is no field of contact (did you mean custom?); rename or remove it"},
		{wide("", 1), "the file is UTF-16 without a byte order mark; save it as UTF-8 without a byte order mark (iconv -f UTF-16LE -t UTF-8)"},
		{wide("", 0), "the file is UTF-16 without a byte order mark; save it as UTF-8 without a byte order mark (iconv -f UTF-16BE -t UTF-8)"},
		{"custom,\na,b\n", "column 2 has no name; name it, or remove it"},
		{
			header + "a\n",
			"line 2 has 1 cell, and the header has 2 cells; write an empty cell where there is no value, and quote a cell that contains a comma",
		},
		{
			header + "\"" + strings.Repeat("x", preflight.HeadSize),
			"row 1 does not end in the first 64 KiB of the file; check that it is CSV, and that every quote is closed",
		},
		{
			"\"" + strings.Repeat("x", preflight.HeadSize),
			"the header does not end in the first 64 KiB of the file; check that it is CSV, and that every quote is closed",
		},
		{"emailaddress\na\n", "column emailaddress is no field of contact (did you mean C_EmailAddress?); rename or remove it"},
		{"C_FristName\na\n", "column C_FristName is no field of contact (did you mean C_FirstName?); rename or remove it"},
		{"something else\na\n", "column something else is no field of contact; rename or remove it"},
	} {
		report := preflight.Check(preflight.File{Head: []byte(tt.data), Whole: true}, target)
		if got := report.Findings[0].Message; got != tt.want {
			t.Errorf("Check(%q) says %q, want %q", tt.data, got, tt.want)
		}
		_, meant, _ := strings.Cut(tt.want, "(did you mean ")
		if meant, _, _ = strings.Cut(meant, "?)"); report.Findings[0].Nearest != meant {
			t.Errorf("Check(%q) names %q as nearest, want %q", tt.data, report.Findings[0].Nearest, meant)
		}
	}
	report := preflight.Check(preflight.File{Head: []byte("a\n1\n")}, preflight.Target{Object: "contcat", Missing: true, Objects: []string{"lead", "contact"}})
	if got, want := report.Findings[0].Message, "the platform has no object contcat (did you mean contact?); `receiver objects` lists those that it has"; got != want {
		t.Errorf("Check says %q, want %q", got, want)
	}
	if got := report.Findings[0].Nearest; got != "contact" {
		t.Errorf("the nearest object is %q", got)
	}
	report = preflight.Check(preflight.File{Head: []byte("CUSTOM\n1\n")}, target)
	if got := report.Findings[0]; got.Kind != preflight.ColumnCase || got.Nearest != "custom" {
		t.Errorf("a column in another case: %+v", got)
	}
}

func TestCheckReportsColumnsAndRows(t *testing.T) {
	report := preflight.Check(preflight.File{Head: examples.SampleCSV, Whole: true}, preflight.Target{})
	want := []string{"C_EmailAddress", "C_FirstName", "C_LastName", "C_Title", "C_BusPhone", "C_Company", "C_Website1"}
	if !slices.Equal(report.Columns, want) || report.Rows != 10 || report.Compared || report.Errors != 0 || len(report.Findings) != 0 {
		t.Errorf("Check of the ten contacts = %+v, want %q, 10 rows, nothing compared or found", report, want)
	}
	if got, err := json.Marshal(preflight.Check(preflight.File{}, preflight.Target{})); err != nil || !bytes.HasPrefix(got, []byte(`{"format":"csv","columns":[],"rows":0,`)) {
		t.Errorf("an empty file is %s, %v; lists must not be null", got, err)
	}
}

// A head that ends within a row says nothing of that row.
func TestCheckDoesNotJudgeARowThatGoesOn(t *testing.T) {
	all := header + "\"a\nb\",A\nc,Jürgen\nd,\"D\"\"\"\n"
	for n := len(header); n <= len(all); n++ {
		report := preflight.Check(preflight.File{Head: []byte(all[:n])}, contact)
		want := 0
		for _, complete := range []string{header + "\"a\nb\",A\n", header + "\"a\nb\",A\nc,Jürgen\n", all} {
			if n >= len(complete) {
				want++
			}
		}
		for _, f := range report.Findings {
			if f.Kind != preflight.LongRow {
				t.Errorf("Check(%q) finds %+v", all[:n], f)
			}
		}
		if report.Rows != want {
			t.Errorf("Check(%q) looks at %d rows, want %d", all[:n], report.Rows, want)
		}
	}
	long := strings.Repeat("x", preflight.HeadSize)
	for _, tt := range []struct{ name, file, data, want string }{
		{"a header", "", long + "\n1\n", "~long_row line:1"},
		{"a row", "", header + "a,\"" + long, "~long_row row:1"},
		{"a short row", "", header + strings.Repeat("a,b\n", preflight.HeadSize/4), ""},
		{"exactly 64 KiB", "", fill(header+"a,b,c", preflight.HeadSize), "cell_count line:2 row:1"},
		{"a byte more", "", fill(header+"a,b,c", preflight.HeadSize) + "x", "~long_row row:1"},
		{"JSON within a character", "x.json", long[1:] + "ü", ""},
		{"a blank file", "", strings.Repeat("\n", preflight.HeadSize) + rows, "empty_file"},
	} {
		// Check takes the first 64 KiB, even if it is given more and told that it is all.
		report := preflight.Check(preflight.File{Name: tt.file, Head: []byte(tt.data), Whole: true}, contact)
		if got := strings.Join(slices.DeleteFunc(brief(report), func(s string) bool { return strings.HasPrefix(s, "unknown") }), " "); got != tt.want {
			t.Errorf("%s: Check = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A head of JSON may end within a character, and a file may not.
func TestCheckDoesNotJudgeACharacterThatGoesOn(t *testing.T) {
	for _, tt := range []struct {
		data  string
		whole bool
		want  string
	}{
		{"{}é😀", false, ""},
		{"{}é😀", true, ""},
		{"{}é\xf0\x9f\x98", false, ""},
		{"{}é\xf0\x9f", false, ""},
		{"{}é\xf0", false, ""},
		{"{}é\xf0\x9f\x98", true, "invalid_utf8"},
		{"{}é\xf0", true, "invalid_utf8"},
		{"{}\xf0é", false, "invalid_utf8"},
		{"{}\x98\x98\x98\x98", false, "invalid_utf8"},
		{"{}é\xff", false, "invalid_utf8"},
		{"\xf0", false, ""},
	} {
		report := preflight.Check(preflight.File{Name: "x.json", Head: slices.Clip([]byte(tt.data)), Whole: tt.whole}, contact)
		if got := strings.Join(brief(report), " "); got != tt.want {
			t.Errorf("Check(%q, whole %t) = %q, want %q", tt.data, tt.whole, got, tt.want)
		}
	}
}

// fill makes a text n bytes long.
func fill(s string, n int) string { return s + strings.Repeat("x", n-len(s)) }

func TestReportsAreBounded(t *testing.T) {
	data := "C_EmailAddress\n" + strings.Repeat("a,b\n", 70)
	report := preflight.Check(preflight.File{Head: []byte(data), Whole: true}, contact)
	if len(report.Findings) != preflight.MaxFindings || report.More != 20 || report.Errors != 70 || report.Rows != 70 {
		t.Errorf("Check lists %d of %d errors and leaves out %d, want %d, 70 and 20", len(report.Findings), report.Errors, report.More, preflight.MaxFindings)
	}
	name := "\x1b[2J" + strings.Repeat("ü", 200)
	report = preflight.Check(preflight.File{Head: []byte("C_EmailAddress," + name + "\na,b\n"), Whole: true}, contact)
	if f, want := report.Findings[0], `\x1b[2J`+strings.Repeat("ü", 96)+"…"; f.Column != want || !strings.Contains(f.Message, want) || report.Columns[1] != want {
		t.Errorf("Check names the column %q, want %q", f.Column, want)
	}
}

// The header is what strangers choose; fields are what the platform has.
func TestCheckGrowsWithItsInput(t *testing.T) {
	many := preflight.Target{Fields: slices.Clone(contact.Fields)}
	for i := range 500 {
		many.Fields = append(many.Fields, preflight.Field{Name: fmt.Sprintf("%s.%d", strings.Repeat("n", 55), i), Required: true})
	}
	shapes := growth.Bytes()
	shapes["short names"] = growth.Around("", "a,", "\n1\n")
	shapes["long names"] = distinct
	shapes["dots"] = growth.Around("", ".a", "\n1\n")
	shapes["dots in names"] = growth.Around("", strings.Repeat(".a", 450)+",", "z\n1\n")
	shapes["rows"] = growth.Around("a,b\n", "1,2,3\n", "")
	shapes["quotes"] = growth.Around("a,b\n", "1,2\"\n", "")
	growth.Linear(t, preflight.HeadSize/16, shapes, func(s string) {
		preflight.Check(preflight.File{Head: []byte(s), Whole: true}, many)
	})

	// Suggestions are the expensive part: those that nobody sees are not made.
	work := func(n int) float64 {
		file := preflight.File{Head: []byte(distinct(n)), Whole: true}
		return testing.AllocsPerRun(1, func() { preflight.Check(file, many) })
	}
	if few, all := work(4<<10), work(preflight.HeadSize); all > 2*few {
		t.Errorf("Check allocates %.0f times for 4 KiB of unknown columns, and %.0f times for 64 KiB", few, all)
	}
}

// distinct is a header of about n bytes of names that are not near to each other.
func distinct(n int) string {
	var b strings.Builder
	for i := range n / 60 {
		fmt.Fprintf(&b, "%058d,", i)
	}
	return b.String() + "z\n1\n"
}

func TestPeekLeavesEverythingToRead(t *testing.T) {
	for _, n := range []int{0, 1, preflight.HeadSize - 1, preflight.HeadSize, preflight.HeadSize + 1, 3 * preflight.HeadSize} {
		data := bytes.Repeat([]byte("0123456789"), n/10+1)[:n]
		head, whole, rest, err := preflight.Peek(iotest.HalfReader(bytes.NewReader(data)))
		if err != nil || !bytes.Equal(head, data[:min(n, preflight.HeadSize)]) || whole != (n <= preflight.HeadSize) {
			t.Errorf("Peek of %d bytes = %d bytes, whole %t, %v", n, len(head), whole, err)
		}
		if all, err := io.ReadAll(rest); err != nil || !bytes.Equal(all, data) {
			t.Errorf("after Peek of %d bytes there are %d to read, %v", n, len(all), err)
		}
	}
	broken := errors.New("broken")
	if _, _, _, err := preflight.Peek(io.MultiReader(strings.NewReader(rows), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("Peek of a broken file = %v, want its error", err)
	}
}

func FuzzCheck(f *testing.F) {
	for _, tt := range promises {
		f.Add(tt.file, tt.metadata, []byte(tt.data), true)
		f.Add(tt.file, tt.metadata, []byte(tt.data), false)
	}
	f.Fuzz(func(t *testing.T, name, metadata string, data []byte, whole bool) {
		head, ends, rest, err := preflight.Peek(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(rest); err != nil || !bytes.Equal(all, data) {
			t.Fatalf("Peek leaves %d of %d bytes, %v", len(all), len(data), err)
		}
		report := preflight.Check(preflight.File{Name: name, Metadata: metadata, Head: head, Whole: ends && whole}, contact)
		text, err := json.Marshal(report)
		if err != nil || !utf8.Valid(text) {
			t.Fatalf("the report is %q, %v", text, err)
		}
		errorsListed := 0
		for _, finding := range report.Findings {
			if !slices.Contains(preflight.Kinds(), finding.Kind) || strings.ContainsAny(finding.Message, "\n\r\x1b") || finding.Message == "" {
				t.Errorf("the finding is %+v", finding)
			}
			if finding.Severity == preflight.Error {
				errorsListed++
			}
		}
		if len(report.Findings) > preflight.MaxFindings || report.Errors < errorsListed || report.Errors > errorsListed+report.More {
			t.Errorf("the report lists %d findings with %d errors of %d, and leaves out %d", len(report.Findings), errorsListed, report.Errors, report.More)
		}
		for _, c := range report.Columns {
			if strings.ContainsAny(c, "\n\r\x1b") {
				t.Errorf("the report repeats the column %q", c)
			}
		}
	})
}
