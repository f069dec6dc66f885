package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"receiver/internal/config"
)

// What a stranger sent stands raw in no line of the log, in neither format, wherever it stands.
func TestLogObeysNobody(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		for _, r := range "\x00\x1b\x7f\u0080\u0085\u009b\u009f\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\ufff9\U000e0041\xff" {
			var out bytes.Buffer
			text := "a" + string(r) + "b"
			log := logger(&out, false, config.Log{Format: format, Level: "info"})
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

// Nor does what a command says to whoever sits in front of it.
func TestTalkObeysNobody(t *testing.T) {
	var talk bytes.Buffer
	a := &app{talk: &talk}
	a.say("the platform says: %s", "\x1b[2J\u009b\u202e")
	lastWord(&talk, errText("\x1b[2J\u009b\u202e\nmore"))
	for _, c := range talk.String() {
		if c != '\n' && !unicode.IsGraphic(c) {
			t.Errorf("%U stands raw in %q", c, &talk)
		}
	}
}
