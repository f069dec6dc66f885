package archive

import (
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// FuzzTime holds that a line of the times has one form.
func FuzzTime(f *testing.F) {
	f.Add(timeLine(tlog.Tree{N: 700}, time.Date(2026, 3, 1, 12, 0, 0, 1, time.UTC)))
	f.Add("2026-03-01T12:00:00.000000000Z +1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Add("2026-03-01T12:00:00Z 1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Fuzz(func(t *testing.T, line string) {
		if tree, at, ok := parseTime(line); ok && timeLine(tree, at) != line {
			t.Errorf("%q is read as %q", line, timeLine(tree, at))
		}
	})
}
