package plain_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"receiver/internal/growth"
	"receiver/internal/plain"
)

// strange is what a stranger may send to move a cursor, turn a line round or hide something.
const strange = "\x00\x07\x08\x1b[2J\x7f\u0080\u0085\u009b31m\u009f\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\ufeff\ufff9\U000e0041\x80\xff\xed\xa0\x80\r"

// raw returns the first character of s that is not fit to be read.
func raw(s string) (rune, bool) {
	for _, r := range s {
		if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
			return r, true
		}
	}
	return 0, !utf8.ValidString(s)
}

func TestNothingStrangeIsRaw(t *testing.T) {
	for _, r := range strange + "é 😀" {
		in := "a" + string(r) + "b"
		for name, got := range map[string]string{
			"Text": plain.Text(in), "Lines": plain.Lines(in), "Cell": plain.Cell(in), "JSON": string(plain.JSON([]byte(`"` + in + `"`))),
		} {
			if c, found := raw(got); found {
				t.Errorf("%s(%q) = %q, in which %U stands raw", name, in, got, c)
			}
		}
	}
	if got := plain.Lines("é 😀 \\n\ta\r\nb\n"); got != "é 😀 \\n\ta\r\nb\n" {
		t.Errorf("Lines changes to %q what is fit to be read", got)
	}
}

func TestJSONMeansTheSame(t *testing.T) {
	want := "\u0085 \u202e \U000e0041 é \" \\ \u2028"
	text, _ := json.Marshal(want)
	var got string
	if err := json.Unmarshal(plain.JSON(text), &got); err != nil || got != want {
		t.Errorf("JSON(%s) reads %q, %v", text, got, err)
	}
}

func TestWriterEscapesWhateverThePieces(t *testing.T) {
	in := strange + "é\r\n😀\r\n" + strange + "\xf0\x9f"
	for size := 1; size < 9; size++ {
		var out bytes.Buffer
		w := plain.NewWriter(&out)
		for rest := in; rest != ""; rest = rest[min(size, len(rest)):] {
			if _, err := w.Write([]byte(rest[:min(size, len(rest))])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil || out.String() != plain.Lines(in) {
			t.Errorf("in pieces of %d: %q, %v, want %q", size, &out, err, plain.Lines(in))
		}
	}
	if _, err := plain.NewWriter(iotest.TruncateWriter(&bytes.Buffer{}, 0)).Write([]byte("\x1b")); err != nil {
		t.Error(err)
	}
}

// A spreadsheet takes none of these for a formula.
func TestCellIsNoFormula(t *testing.T) {
	blanks := []string{"", " ", "\t", "\r", "\n", "\u00a0", "\u3000", "\ufeff", "\u200b", "\u2060", "\u0301", "\u3164", "\x00", " \u200b\t"}
	for _, blank := range blanks {
		for _, sign := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
			if got := plain.Cell(blank + sign + "1+1"); !strings.HasPrefix(got, "'") {
				t.Errorf("Cell(%q) = %q, which begins as a formula", blank+sign, got)
			}
		}
		if got := plain.Cell(blank + "a=1"); strings.HasPrefix(got, "'") {
			t.Errorf("Cell(%q) = %q, want no mark", blank+"a=1", got)
		}
	}
}

func TestGrowth(t *testing.T) {
	growth.Linear(t, 4<<10, growth.Bytes(), func(s string) {
		plain.Text(s)
		plain.Lines(s)
		plain.Cell(s)
		plain.JSON([]byte(s))
	})
	growth.Bounded(t, 16<<10, 256, growth.Bytes(), func(s string) {
		plain.Text(s)
		plain.Lines(s)
		plain.Cell(s)
		plain.JSON([]byte(s))
	})
}

func FuzzPlain(f *testing.F) {
	f.Add(strange)
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{plain.Text(s), plain.Lines(s), plain.Cell(s)} {
			if c, found := raw(strings.ReplaceAll(got, "\r\n", "\n")); found {
				t.Errorf("of %q comes %q, in which %U stands raw", s, got, c)
			}
		}
	})
}
