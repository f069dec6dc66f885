package submit

import (
	"io"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestAFileIsLookedAtBeforeItIsSent(t *testing.T) {
	const rows = "email,name\na@example.com,A\n"
	wide := func(mark string, low int) string {
		b := []byte(mark)
		for _, u := range utf16.Encode([]rune(rows)) {
			pair := [2]byte{byte(u >> 8), byte(u)}
			b = append(b, pair[low], pair[1-low])
		}
		return string(b)
	}
	for _, tt := range []struct{ name, file, metadata, data, err, warning string }{
		{name: "CSV", data: rows},
		{name: "CSV with CRLF", data: "email,name\r\na,b\r\n"},
		{name: "CSV without an end of line", data: "email\na"},
		{name: "umlauts", data: "name\nJürgen\n"},
		{name: "a large one", data: rows + strings.Repeat("ü@example.com,A\n", 20_000)},
		{name: "JSON lines", file: "x.jsonl", data: `{"email":"a"}`},
		{name: "a JSON array", file: "x.csv", metadata: `{"format":"json"}`, data: `[{"email":"a"}]`},
		{name: "xlsx, which the Files connector takes", file: "x.xlsx", data: "PK\x03\x04\x00\x00"},
		{name: "xls", file: "x.XLS", data: "\xd0\xcf\x11\xe0\x00"},
		{name: "empty", err: "empty"},
		{name: "blank", data: " \n\n", err: "empty"},
		{name: "header only", data: "email,name\n", err: "a header without a row"},
		{name: "header only, unended", data: "email,name", err: "a header without a row"},
		{name: "UTF-16 LE", data: wide("\xff\xfe", 1), err: "UTF-16"},
		{name: "UTF-16 BE", data: wide("\xfe\xff", 0), err: "UTF-16"},
		{name: "UTF-16 LE without a mark", data: wide("", 1), err: "UTF-16 without a byte order mark"},
		{name: "UTF-16 BE without a mark", data: wide("", 0), err: "UTF-16 without a byte order mark"},
		{name: "UTF-32", data: "\xff\xfe\x00\x00a\x00\x00\x00", err: "UTF-32"},
		{name: "byte order mark", data: "\ufeff" + rows, err: "UTF-8 with a byte order mark"},
		{name: "byte order mark before JSON", file: "x.json", data: "\ufeff{}", err: "UTF-8 with a byte order mark"},
		{name: "zip", data: "PK\x03\x04rest", err: "a zip archive"},
		{name: "gzip", file: "x.csv.gz", data: "\x1f\x8b\x08", err: "gzip"},
		{name: "gzip as JSON", file: "x.json", data: "\x1f\x8b\x08", err: "gzip"},
		{name: "PDF", data: "%PDF-1.7", err: "a PDF"},
		{name: "HTML", data: "\n<!DOCTYPE html><html>", err: "HTML or XML"},
		{name: "HTML as JSON", file: "x.json", data: "<html>", err: "HTML or XML"},
		{name: "JSON as CSV", data: `{"message":"not found"}`, err: "JSON under the name"},
		{name: "NUL bytes", data: rows + "a\x00b,c\n", err: "NUL"},
		{name: "lone CR", data: "email,name\ra,b\r", err: "CR only"},
		{name: "Latin-1", data: "name\nJ\xfcrgen\n", warning: "not UTF-8"},
		{name: "semicolons", data: "email;name\na;b\n", warning: "semicolons"},
		{name: "a long first line", data: strings.Repeat("a", 2*headSize) + "\nb\n", warning: "longer than 64 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head, whole, all, err := Peek(strings.NewReader(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			file := tt.file
			if file == "" {
				file = "x.csv"
			}
			warnings, err := CheckFile(file, tt.metadata, head, whole)
			switch {
			case tt.err == "" && err != nil:
				t.Errorf("CheckFile = %v", err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "--no-check")):
				t.Errorf("CheckFile = %v, want %q and --no-check", err, tt.err)
			}
			if got := strings.Join(warnings, "; "); tt.warning == "" && got != "" || !strings.Contains(got, tt.warning) {
				t.Errorf("it warns %q, want %q", got, tt.warning)
			}
			if sent, err := io.ReadAll(all); err != nil || string(sent) != tt.data {
				t.Errorf("%d bytes would be sent, %v, want all %d", len(sent), err, len(tt.data))
			}
		})
	}
}

func FuzzCheckFile(f *testing.F) {
	f.Add("x.csv", "", []byte("a,b\n1,2\n"), true)
	f.Add("x", "{}", []byte("\xff"), false)
	f.Fuzz(func(t *testing.T, name, metadata string, head []byte, whole bool) {
		if len(head) == 0 && !whole {
			return // there is more only behind a full head
		}
		_, _ = CheckFile(name, metadata, head, whole)
	})
}
