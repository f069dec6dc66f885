package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/plain"
	"receiver/internal/recording"
)

var record = flag.Bool("record", false, "record docs/images/demo.cast and demo.svg, which README shows, again")

const recordedCommand = "go run ./cmd/receiver demo --once"

// masks are the parts of the demo's text that differ from run to run.
var masks = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z|127\.0\.0\.1:\d+|sha256:[0-9a-f]{8}|[A-Za-z0-9+/]{43}=|\d{8,}|\d+ bytes`)

// README shows what the demo prints today.
func TestTheRecordingOfTheDemoIsFresh(t *testing.T) {
	var out bytes.Buffer
	terminal := plain.NewWriter(&out)
	terminal.Colours = true
	root := newRoot(&app{in: strings.NewReader(""), out: terminal, talk: &out})
	root.SetArgs(strings.Fields(recordedCommand)[3:])
	if _, err := root.ExecuteContextC(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := terminal.Flush(); err != nil {
		t.Fatal(err)
	}
	fresh := recording.Of(recordedCommand, out.String())
	const cast, svg = "../../docs/images/demo.cast", "../../docs/images/demo.svg"
	if *record {
		picture, err := fresh.SVG()
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string][]byte{cast: fresh.Bytes(), svg: picture} {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	recorded, err := recording.Parse(read(t, cast))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := masks.ReplaceAllString(recorded.Text(), "*"), masks.ReplaceAllString(fresh.Text(), "*"); got != want {
		t.Errorf("the demo prints\n%s\nwhich docs/images/demo.cast shows as\n%s\nrun `make recording`", want, got)
	}
	picture, err := recorded.SVG()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(picture, read(t, svg)) {
		t.Errorf("docs/images/demo.svg is not the picture of docs/images/demo.cast: run `make recording`")
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
