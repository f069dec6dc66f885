package plain_test

import (
	"bytes"
	"testing"

	"receiver/internal/plain"
)

func TestPaint(t *testing.T) {
	for _, tt := range []struct {
		name    string
		colours bool
		colour  plain.Colour
		text    string
		want    string
	}{
		{"with colours", true, plain.Red, "error", "<\x1b[31merror\x1b[0m>"},
		{"without", false, plain.Red, "error", "<error>"},
		{"no colour", true, plain.NoColour, "note", "<note>"},
		{"a text that would paint by itself", true, plain.Green, "\x1b[31m", "<\x1b[32m\\u001b[31m\x1b[0m>"},
	} {
		var out bytes.Buffer
		w := plain.NewWriter(&out)
		w.Colours = tt.colours
		_, _ = w.Write([]byte("<"))
		if err := plain.Paint(w, tt.colour, tt.text); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(">"))
		if out.String() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, &out, tt.want)
		}
	}
	var file bytes.Buffer
	if err := plain.Paint(&file, plain.Red, "error"); err != nil || file.String() != "error" {
		t.Errorf("Paint to a file = %q, %v, want no colour", &file, err)
	}
}

func TestColoursWanted(t *testing.T) {
	for _, tt := range []struct {
		noColour, term string
		want           bool
	}{{"", "xterm-256color", true}, {"1", "xterm", false}, {"", "dumb", false}, {"", "", false}} {
		env := map[string]string{"NO_COLOR": tt.noColour, "TERM": tt.term}
		if got := plain.ColoursWanted(func(name string) string { return env[name] }); got != tt.want {
			t.Errorf("ColoursWanted with NO_COLOR=%q and TERM=%q = %v, want %v", tt.noColour, tt.term, got, tt.want)
		}
	}
}
