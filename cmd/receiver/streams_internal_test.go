package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"receiver/internal/input"
)

// Nothing but yes is a yes.
func TestConfirm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		said string
		want bool
	}{{"yes\n", true}, {" yes \r\n", true}, {"yes", true}, {"y\n", false}, {"\n", false}, {"", false}, {"YES\n", false}, {"no\nyes\n", false}} {
		var talk bytes.Buffer
		err := (&app{in: strings.NewReader(tt.said), talk: &talk}).confirm("Really? ")
		if (err == nil) != tt.want || talk.String() != "Really? " {
			t.Errorf("confirm after %q = %v and says %q, want %v", tt.said, err, &talk, tt.want)
		}
	}
}

func TestConfirmEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, hold := io.Pipe()
	defer hold.Close()
	if err := (&app{in: input.Reader(ctx, silent), talk: io.Discard}).confirm(""); err == nil {
		t.Error("confirm = nil without an answer")
	}
}
