package edge

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// A hub that takes one stream and refuses the other is logged once, not at each attempt.
func TestLinkLogsARefusalOnce(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	var log bytes.Buffer
	l := newLink(zerolog.New(&log))
	up := func(stream string) func() { return func() { l.up(stream) } }
	down := func(stream string) func() { return func() { l.down(stream, refused) } }
	for i, step := range []struct {
		do     func()
		up     bool
		logged int // lines of the log so far
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
		if logged := strings.Count(log.String(), "\n"); l.state().Up != step.up || logged != step.logged {
			t.Errorf("after step %d: up %v, %d lines, want %v and %d:\n%s", i, l.state().Up, logged, step.up, step.logged, log.String())
		}
	}
}
