package preflight

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

const asUTF8 = "save it as UTF-8 without a byte order mark"

// sign is how files begin that are no CSV, and what to do about them.
type sign struct {
	begins   string
	kind     Kind
	says, do string
}

var signs = []sign{
	{"\xff\xfe\x00\x00", UTF32, "the file is UTF-32", asUTF8},
	{"\x00\x00\xfe\xff", UTF32, "the file is UTF-32", asUTF8},
	{"\xff\xfe", UTF16, `the file is UTF-16, as written by > in PowerShell and by "Unicode text" in Excel`, asUTF8 + " (iconv -f UTF-16 -t UTF-8)"},
	{"\xfe\xff", UTF16, "the file is UTF-16", asUTF8 + " (iconv -f UTF-16 -t UTF-8)"},
	{"PK\x03\x04", Compressed, "the file is a zip archive", "unpack it"},
	{"PK\x05\x06", Compressed, "the file is an empty zip archive", "give the file that should be in it"},
	{"\x1f\x8b", Compressed, "the file is compressed by gzip", "unpack it (gunzip)"},
	{"BZh", Compressed, "the file is compressed by bzip2", "unpack it (bunzip2)"},
	{"\xfd7zXZ", Compressed, "the file is compressed by xz", "unpack it (unxz)"},
	{"\x28\xb5\x2f\xfd", Compressed, "the file is compressed by zstd", "unpack it (unzstd)"},
	{"7z\xbc\xaf\x27\x1c", Compressed, "the file is a 7z archive", "unpack it"},
	{"\xd0\xcf\x11\xe0", Spreadsheet, "the file is an old spreadsheet file (.xls)", "save the sheet as CSV"},
	{"%PDF", Binary, "the file is a PDF", "export the rows as CSV"},
}

// isSheet says whether a sign is that of the files of Excel.
func (s sign) isSheet() bool { return s.kind == Spreadsheet || strings.HasPrefix(s.begins, "PK") }

// isText judges what holds for the file as a whole, and reports whether its rows can be read.
func (c *check) isText() bool {
	if s := c.sign(); s != nil {
		if c.report.Format == "spreadsheet" && s.isSheet() {
			return false // the connector for files takes them as they are
		}
		if s.begins == "PK\x03\x04" && (bytes.Contains(c.head, []byte("xl/")) || bytes.Contains(c.head, []byte("[Content_Types]"))) {
			c.fault(Spreadsheet, "the file is a spreadsheet file (.xlsx); save the sheet as CSV")
			return false
		}
		c.fault(s.kind, "%s; %s", s.says, s.do)
		return false
	}
	if c.report.Format == "spreadsheet" {
		return false
	}
	if rest, marked := bytes.CutPrefix(c.head, []byte("\xef\xbb\xbf")); marked {
		c.head = rest
		c.fault(ByteOrderMark, "the file begins with a byte order mark, which becomes part of the first column's name; %s (tail -c +4)", asUTF8)
	}
	text := bytes.TrimLeft(c.head, " \t\r\n")
	switch {
	case len(text) == 0 && c.whole:
		c.fault(EmptyFile, "the file is empty; give one with a header and rows")
	case len(text) == 0:
		c.fault(EmptyFile, "the file begins with 64 KiB of blanks; begin it with a header")
	case bytes.Contains(c.head, []byte{0}):
		c.zeros()
	case text[0] == '<':
		c.fault(HTML, "the file is not a table but HTML or XML, such as an error page that was saved; fetch the rows again")
	case c.report.Format == "json":
		if !c.validUTF8() {
			c.fault(InvalidUTF8, "the file is not UTF-8; %s", asUTF8)
		}
		return false
	case text[0] == '{', text[0] == '[':
		c.fault(JSON, `the file is not a table but JSON; name it .json or .jsonl, or give {"format":"json"} as metadata`)
	default:
		return true
	}
	return false
}

func (c *check) sign() *sign {
	for i := range signs {
		if bytes.HasPrefix(c.head, []byte(signs[i].begins)) {
			return &signs[i]
		}
	}
	return nil
}

// zeros says what bytes with zeros among them are: every second byte of UTF-16 is one in most
// texts.
func (c *check) zeros() {
	if n := bytes.Count(c.head, []byte{0}); n >= len(c.head)/3 && n <= len(c.head)*2/3 {
		order := "LE"
		if c.head[0] == 0 {
			order = "BE"
		}
		c.fault(UTF16, "the file is UTF-16 without a byte order mark; %s (iconv -f UTF-16%s -t UTF-8)", asUTF8, order)
		return
	}
	c.fault(Binary, "the file is not text: it contains NUL bytes; give CSV in UTF-8")
}

// validUTF8 leaves out a last character that may continue behind the head.
func (c *check) validUTF8() bool {
	head := c.head
	for i := 1; !c.whole && i < utf8.UTFMax && i <= len(head); i++ {
		if b := head[len(head)-i]; utf8.RuneStart(b) {
			if !utf8.FullRune(head[len(head)-i:]) {
				head = head[:len(head)-i]
			}
			break
		}
	}
	return utf8.Valid(head)
}
