package recording_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"receiver/internal/recording"
)

const output = "start      one\n           more\n\x1b[32mdone       \x1b[0m<two> & \"three\"\n"

func TestARecordingIsReadAsItWasWritten(t *testing.T) {
	want := recording.Of("ls -l", output)
	got, err := recording.Parse(want.Bytes())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse(Bytes) = %+v, %v, want %+v", got, err, want)
	}
	if text := "$ ls -l\r\n" + strings.ReplaceAll(output, "\n", "\r\n"); got.Text() != text {
		t.Errorf("Text() = %q, want %q", got.Text(), text)
	}
	for i := range got.Events[1:] {
		if got.Events[i+1].Time <= got.Events[i].Time {
			t.Errorf("event %d comes at %v, after one at %v", i+1, got.Events[i+1].Time, got.Events[i].Time)
		}
	}
	for _, file := range []string{"", "{}\n", `{"version":1}`, `{"version":2,"width":80,"height":24}` + "\n" + `[1,"i","x"]`, `{"version":2}` + "\n{}"} {
		if c, err := recording.Parse([]byte(file)); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", file, c)
		}
	}
}

// The picture is XML without a script, has all of the text, and scrolls what is higher than it.
func TestThePictureShowsTheText(t *testing.T) {
	tall := recording.Of("ls", strings.Repeat("a step\n", 30)+output)
	for _, c := range []recording.Cast{recording.Of("ls", output), tall} {
		picture, err := c.SVG()
		if err != nil {
			t.Fatal(err)
		}
		var shown strings.Builder
		for tokens := xml.NewDecoder(bytes.NewReader(picture)); ; {
			token, err := tokens.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				if token.Name.Local == "script" {
					t.Error("the picture has a script")
				}
			case xml.CharData:
				shown.Write(token)
			}
		}
		for _, want := range []string{"one", `<two> & "three"`} {
			if !strings.Contains(shown.String(), want) {
				t.Errorf("the picture does not show %s:\n%s", want, picture)
			}
		}
	}
	for text, want := range map[string]string{output: "translateY(0px)", strings.Repeat("a step\n", 30): "translateY(-133px)"} {
		if picture, err := recording.Of("ls", text).SVG(); err != nil || !strings.Contains(string(picture), want) {
			t.Errorf("the picture of %q does not scroll by %s, %v", text, want, err)
		}
	}
}

func TestWhatAPictureCannotShowIsAnError(t *testing.T) {
	for _, text := range []string{"a \x1b[2J b\n", "a\tb\n", "a\bb\n", "\x1b[35mx\n", strings.Repeat("x", 81) + "\n"} {
		if picture, err := recording.Of("ls", text).SVG(); err == nil {
			t.Errorf("SVG of %q = %s, want an error", text, picture)
		}
	}
}
