package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
)

// A terminal takes more than the bytes below a space for commands.
func TestJSONMovesNoCursor(t *testing.T) {
	t.Parallel()
	want := "a\u009b31m \u007f \u202e <é> 😀 \U000e0041 \x1b[2J"
	var out bytes.Buffer
	if err := printJSON(&out, want); err != nil {
		t.Fatal(err)
	}
	for _, r := range bytes.TrimSuffix(out.Bytes(), []byte("\n")) {
		if r < ' ' {
			t.Errorf("byte %#x is printed", r)
		}
	}
	for _, r := range out.String() {
		if r != '\n' && !unicode.IsGraphic(r) {
			t.Errorf("%U is printed", r)
		}
	}
	var got string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != want {
		t.Errorf("printJSON wrote %s, which reads %q, %v, want %q", &out, got, err, want)
	}
}
