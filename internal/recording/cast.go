// Package recording makes the recording of a command that README shows: an asciicast, and an
// animated SVG of it without scripts. The text is that of a real run; the pace is for reading.
package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// Cast is an asciicast of version 2, of output only. The time of an event is in seconds since the
// start.
type Cast struct {
	Width, Height int
	Title         string
	Events        []Event
}

// Event is output at a time.
type Event struct {
	Time float64
	Text string
}

// The pace, in seconds.
const (
	beforeTyping = 0.5
	eachKey      = 0.05
	afterTyping  = 0.7
	eachStep     = 0.3
	eachLine     = 0.3
	atTheEnd     = 5
)

// Of returns the recording of a command that is typed at a prompt and prints output. A line that
// begins with a space belongs to the step before it, and is shown with it.
func Of(command, output string) Cast {
	c := Cast{Width: 80, Height: 24, Title: command}
	at := beforeTyping
	add := func(text string, after float64) {
		c.Events = append(c.Events, Event{math.Round(at*1000) / 1000, text})
		at += after
	}
	add("$ ", beforeTyping)
	for _, key := range command {
		add(string(key), eachKey)
	}
	add("\r\n", afterTyping)
	steps := regexp.MustCompile(`(?m)^[^ \n].*\n(?: .*\n)*`).FindAllString(output, -1)
	for _, step := range steps {
		add(strings.ReplaceAll(step, "\n", "\r\n"), eachStep+eachLine*float64(strings.Count(step, "\n")))
	}
	at += atTheEnd
	add("", 0) // so that the end stays visible
	return c
}

// Text is all that is shown, with its control sequences.
func (c Cast) Text() string {
	var b strings.Builder
	for _, e := range c.Events {
		b.WriteString(e.Text)
	}
	return b.String()
}

// Bytes returns the file of the recording.
func (c Cast) Bytes() []byte {
	lines := []any{map[string]any{"version": 2, "width": c.Width, "height": c.Height, "title": c.Title, "env": map[string]string{"TERM": "xterm-256color"}}}
	for _, e := range c.Events {
		lines = append(lines, []any{e.Time, "o", e.Text})
	}
	var b bytes.Buffer
	file := json.NewEncoder(&b)
	file.SetEscapeHTML(false)
	for _, line := range lines {
		_ = file.Encode(line) // of texts and numbers, into memory
	}
	return b.Bytes()
}

// Parse reads the file of a recording.
func Parse(file []byte) (Cast, error) {
	var c Cast
	lines := json.NewDecoder(bytes.NewReader(file))
	var header struct {
		Version, Width, Height int
		Title                  string
	}
	if err := lines.Decode(&header); err != nil || header.Version != 2 {
		return c, fmt.Errorf("this is no asciicast of version 2: version %d, %w", header.Version, err)
	}
	c.Width, c.Height, c.Title = header.Width, header.Height, header.Title
	for lines.More() {
		var e Event
		var kind string
		if err := lines.Decode(&[]any{&e.Time, &kind, &e.Text}); err != nil || kind != "o" {
			return c, fmt.Errorf("event %d of the recording is of kind %q, want o: %w", len(c.Events)+1, kind, err)
		}
		c.Events = append(c.Events, e)
	}
	return c, nil
}
