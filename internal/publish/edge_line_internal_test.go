package publish

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// A hub that takes one stream and refuses the other is told of once, not at each attempt.
func TestALineTellsOnce(t *testing.T) {
	refused := errors.New("refused")
	var log bytes.Buffer
	l := newLine(zerolog.New(&log))
	up := func(stream string) func() { return func() { l.up(stream) } }
	down := func(stream string) func() { return func() { l.down(stream, refused) } }
	for i, step := range []struct {
		do   func()
		up   bool
		told int // lines so far
	}{
		{up(everyStream), true, 1},
		{up("JOBS"), true, 1},
		{down("JOBS"), false, 2},
		{up("ATTEMPTS"), false, 2},
		{down("JOBS"), false, 2},
		{down("ATTEMPTS"), false, 2},
		{up("JOBS"), false, 2},
		{up("ATTEMPTS"), true, 3},
		{up("JOBS"), true, 3},
	} {
		step.do()
		if told := strings.Count(log.String(), "\n"); l.state().Up != step.up || told != step.told {
			t.Errorf("after step %d: up %v, %d lines, want %v and %d:\n%s", i, l.state().Up, told, step.up, step.told, log.String())
		}
	}
}
