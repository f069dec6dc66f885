package submit_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"receiver/internal/submit"
)

func TestNormalise(t *testing.T) {
	for _, tc := range []struct {
		name, in, want string
		fails          string
	}{
		{"lines", "{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n{\"a\":2}\n", ""},
		{"lines without the last break", "{\"a\":1}\r\n\r\n{\"a\":2}", "{\"a\":1}\n{\"a\":2}\n", ""},
		{"array", `[{"a":1}, {"a":[2, 3]}]`, "{\"a\":1}\n{\"a\":[2,3]}\n", ""},
		{"array, pretty", "[\n  {\n    \"a\": \"x y\\n\"\n  }\n]\n", "{\"a\":\"x y\\n\"}\n", ""},
		{"single object, pretty", "{\n\t\"a\": 1\n}", "{\"a\":1}\n", ""},
		{"numbers kept as they are", `[{"a":12345678901234567890.10}]`, "{\"a\":12345678901234567890.10}\n", ""},
		{"byte order mark", "\ufeff[{\"a\":1}]", "{\"a\":1}\n", ""},
		{"empty array", " [ ] ", "", ""},
		{"nothing", "", "", ""},
		{"white space", " \r\n\t", "", ""},
		{"array cut after a row", `[{"a":1},`, "{\"a\":1}\n", "row 2"},
		{"array cut before its end", `[{"a":1}`, "{\"a\":1}\n", "unexpected EOF"},
		{"array cut at its beginning", `[`, "", "unexpected EOF"},
		{"array and then more", `[{"a":1}]{"a":2}`, "{\"a\":1}\n", "row 2"},
		{"array with a comma too many", `[{"a":1},]`, "{\"a\":1}\n", "row 2"},
		{"line cut", "{\"a\":1}\n{\"a\":", "{\"a\":1}\n", "unexpected EOF"},
		{"page", "<html>", "", "row 1"},
		{"CSV", csv, "", "row 1"},
		{"row without end", `{"a":"` + strings.Repeat("x", 9<<20), "", "row is longer than 8 MiB"},
		{"space without end in an array", `[{"a":1}` + strings.Repeat(" ", 9<<20), "{\"a\":1}\n", "row is longer than 8 MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := io.ReadAll(submit.Normalise(strings.NewReader(tc.in)))
			if string(got) != tc.want {
				t.Errorf("Normalise() = %q, want %q", got, tc.want)
			}
			if tc.fails == "" && err != nil || tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)) {
				t.Errorf("Normalise() = %v, want an error that says %q", err, tc.fails)
			}
		})
	}
}

func TestNormalisePassesOnErrors(t *testing.T) {
	broken := errors.New("line cut")
	for _, before := range []string{"", " ", "[", `{"a":1}`, `[{"a":1}`, `[{"a":1}]`} {
		_, err := io.ReadAll(submit.Normalise(io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken))))
		if !errors.Is(err, broken) {
			t.Errorf("Normalise(%q and then an error) = %v, want the error", before, err)
		}
	}
}

func TestNormaliseMemoryIsConstant(t *testing.T) {
	const rows, limit = 50_000, 512 << 10
	row := `{"name":"` + strings.Repeat("x", 100) + `"},`
	in := io.MultiReader(strings.NewReader("["), io.LimitReader(&repeater{s: row}, rows*int64(len(row))), strings.NewReader(`{}]`))
	var peak, stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	out := submit.Normalise(in)
	n, err := io.Copy(io.Discard, out)
	runtime.GC()
	runtime.ReadMemStats(&peak)
	if err != nil || n != rows*int64(len(row))+3 {
		t.Fatalf("copied %d, %v, want %d", n, err, rows*int64(len(row))+3)
	}
	if grown := int64(peak.HeapAlloc) - int64(stats.HeapAlloc); grown > limit {
		t.Errorf("holding %d KiB after %d KiB, want at most %d", grown>>10, n>>10, limit>>10)
	}
	runtime.KeepAlive(out)
}

// repeater gives s again and again.
type repeater struct {
	s  string
	at int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := copy(p, r.s[r.at:])
	r.at = (r.at + n) % len(r.s)
	return n, nil
}
