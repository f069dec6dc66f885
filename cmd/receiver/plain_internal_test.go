package main

import (
	"bytes"
	"errors"
	"testing"
	"unicode"

	"receiver/internal/cli"
	"receiver/internal/show"
)

// Nothing that a command says to the person in front of it is obeyed by a terminal.
func TestMessagesOfCommandsControlNoTerminal(t *testing.T) {
	t.Parallel()
	var talk bytes.Buffer
	a := &app{talk: &talk}
	a.say("the platform says: %s", "\x1b[2J\u009b\u202e")
	cli.LastWord(&talk, show.Failure(errors.New("\x1b[2J\u009b\u202e\nmore"), false))
	for _, c := range talk.String() {
		if c != '\n' && !unicode.IsGraphic(c) {
			t.Errorf("%U stands raw in %q", c, &talk)
		}
	}
}
