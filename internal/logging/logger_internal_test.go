package logging

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

func TestALogLineHasItsTime(t *testing.T) {
	const layout = "2006-01-02T15:04:05.000Z"
	for _, at := range []time.Time{
		time.Date(2026, 11, 26, 2, 23, 32, 55_999_999, time.UTC), time.Date(2026, 11, 26, 2, 23, 32, 0, time.UTC),
		time.Date(2026, 2, 3, 4, 5, 6, 987_000_000, time.FixedZone("east", 3600)), time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		if got, want := string(appendTime(nil, at)), at.UTC().Format(layout); got != want {
			t.Errorf("the time of %v is %s, want %s", at, got, want)
		}
	}
	var line bytes.Buffer
	began := time.Now().Truncate(time.Millisecond)
	log := New(&line, "info", "json")
	log.Warn().Msg("x")
	var read struct{ Time time.Time }
	if err := json.Unmarshal(line.Bytes(), &read); err != nil || read.Time.Before(began) || read.Time.After(time.Now()) {
		t.Errorf("the line %s tells %v, %v, want the time it was written", line.Bytes(), read.Time, err)
	}
}

// Bytes of an unauthenticated sender are never raw in a line of the log, in either format and any
// field.
func TestLogLinesControlNoTerminal(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		for _, r := range "\x00\x1b\x7f\u0080\u0085\u009b\u009f\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\ufff9\U000e0041\xff" {
			var out bytes.Buffer
			text := "a" + string(r) + "b"
			log := New(&out, "info", format)
			log.Warn().Str("path", text).Strs("list", []string{text}).Dict("by", zerolog.Dict().Int(text, 1)).Err(errText(text)).Bytes("raw", []byte(text)).Msg(text)
			for _, c := range bytes.TrimSuffix(out.Bytes(), []byte("\n")) {
				if c < ' ' {
					t.Errorf("%s: byte %#x of %U stands raw in %q", format, c, r, &out)
				}
			}
			for _, c := range out.String() {
				if c != '\n' && !unicode.IsGraphic(c) {
					t.Errorf("%s: %U stands raw in %q", format, c, &out)
				}
			}
			if !utf8.Valid(out.Bytes()) {
				t.Errorf("%s: %q is no UTF-8", format, &out)
			}
			var line struct{ Path, Message string }
			if format == "json" && (json.Unmarshal(out.Bytes(), &line) != nil || r != utf8.RuneError && (line.Path != text || line.Message != text)) {
				t.Errorf("%q reads %+v, want %q", &out, line, text)
			}
		}
	}
}

type errText string

func (e errText) Error() string { return string(e) }
