package submit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// headSize is how much of a file is looked at before it is sent.
const headSize = 64 << 10

// signs are how files begin that are no CSV, and what to do about them.
var signs = []struct{ begins, is, do string }{
	{"\xff\xfe\x00\x00", "UTF-32", "save it as UTF-8 without a byte order mark"},
	{"\xff\xfe", "UTF-16, as written by > in PowerShell and by \"Unicode text\" in Excel", "save it as UTF-8 without a byte order mark (iconv -f UTF-16 -t UTF-8)"},
	{"\xfe\xff", "UTF-16", "save it as UTF-8 without a byte order mark (iconv -f UTF-16 -t UTF-8)"},
	{"\xef\xbb\xbf", "UTF-8 with a byte order mark, which becomes part of the first column's name", "save it as UTF-8 without one (tail -c +4)"},
	{"PK\x03\x04", "a zip archive, as .xlsx files are", "unpack it, or export the sheet as CSV"},
	{"PK\x05\x06", "an empty zip archive", "give the file that should be in it"},
	{"\x1f\x8b", "compressed by gzip", "unpack it (gunzip)"},
	{"BZh", "compressed by bzip2", "unpack it"},
	{"\xfd7zXZ", "compressed by xz", "unpack it"},
	{"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"},
	{"\xd0\xcf\x11\xe0", "an old Excel file", "export the sheet as CSV"},
	{"%PDF", "a PDF", "export the rows as CSV"},
}

// errFile is the beginning of what is said of a file that is not sent.
var errFile = errors.New("the file was not sent: it is")

func wrongFile(is, do string) error {
	return fmt.Errorf("%w %s; %s, or give --no-check to send it unchanged", errFile, is, do)
}

// Peek returns the beginning of r, as much as CheckFile takes, whether that is all of it, and a
// reader of all of it.
func Peek(r io.Reader) (head []byte, whole bool, all io.Reader, err error) {
	b := bufio.NewReaderSize(r, headSize)
	head, err = b.Peek(headSize)
	if whole = errors.Is(err, io.EOF); whole {
		err = nil
	}
	return head, whole, b, err
}

// CheckFile looks at the beginning of a file that is to be uploaded. An error says what it is
// and what to do; warnings are of what may be right.
func CheckFile(name string, metadata string, head []byte, whole bool) (warnings []string, err error) {
	ext := strings.ToLower(filepath.Ext(name))
	text := bytes.TrimLeft(head, " \t\r\n")
	if whole && len(text) == 0 {
		return nil, wrongFile("empty", "give one with a header and rows")
	}
	if len(text) == 0 {
		return nil, wrongFile(fmt.Sprintf("blank for its first %d KiB", headSize>>10), "begin it with a header")
	}
	for _, s := range signs {
		if bytes.HasPrefix(head, []byte(s.begins)) && !(strings.HasPrefix(ext, ".xls") && (s.begins[0] == 'P' || s.begins[0] == 0xd0)) {
			return nil, wrongFile(s.is, s.do)
		}
	}
	switch isJSON := wantsJSON(ext, metadata); {
	case ext == ".xls" || ext == ".xlsx":
		return nil, nil
	case bytes.IndexByte(head, 0) >= 0:
		return nil, wrongFile(zeros(head), "give CSV or JSON in UTF-8")
	case text[0] == '<':
		return nil, wrongFile("HTML or XML, such as an error page that was saved", "fetch the rows again")
	case isJSON:
		return nil, nil
	case text[0] == '{', text[0] == '[':
		return nil, wrongFile("JSON under the name of another format", "name it .json or .jsonl, or give --metadata '{\"format\":\"json\"}'")
	}
	return checkCSV(head, whole)
}

func checkCSV(head []byte, whole bool) (warnings []string, err error) {
	header, rows, more := bytes.Cut(head, []byte("\n"))
	switch {
	case !more && bytes.IndexByte(bytes.TrimRight(head, "\r"), '\r') >= 0:
		return nil, wrongFile("text whose lines end in CR only, as on old Macs", "end them in LF (tr '\\r' '\\n')")
	case whole && len(bytes.TrimSpace(rows)) == 0:
		return nil, wrongFile("a header without a row", "give the rows, too")
	case !more:
		warnings = append(warnings, fmt.Sprintf("the first line is longer than %d KiB: is it CSV?", headSize>>10))
	}
	if !validUTF8(head, whole) {
		warnings = append(warnings, "it is not UTF-8, and may be Latin-1 or Windows-1252: letters outside of ASCII will come out wrong")
	}
	if bytes.IndexByte(header, ';') >= 0 && bytes.IndexByte(header, ',') < 0 {
		warnings = append(warnings, "its header is separated by semicolons: the platform reads commas, and would see one column")
	}
	return warnings, nil
}

// validUTF8 leaves out a last character that may go on behind the head.
func validUTF8(head []byte, whole bool) bool {
	for i := 0; !whole && i < utf8.UTFMax && len(head) > 0 && !utf8.Valid(head[max(0, len(head)-utf8.UTFMax):]); i++ {
		head = head[:len(head)-1]
	}
	return utf8.Valid(head)
}

// zeros says what bytes with zeros among them are: every second byte of UTF-16 is one in most
// texts.
func zeros(head []byte) string {
	if n := bytes.Count(head, []byte{0}); n >= len(head)/3 && n <= len(head)*2/3 {
		return "UTF-16 without a byte order mark"
	}
	return "binary: it contains NUL bytes"
}

func wantsJSON(ext, metadata string) bool {
	var m struct{ Format string }
	_ = json.Unmarshal([]byte(metadata), &m) // it was checked before
	return ext == ".json" || ext == ".jsonl" || ext == ".ndjson" || strings.Contains(strings.ToLower(m.Format), "json")
}

// OpenFile opens a file to upload, and returns its size; -1 is unknown.
func OpenFile(path string) (*os.File, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	if !info.Mode().IsRegular() {
		return file, -1, nil
	}
	return file, info.Size(), nil
}
