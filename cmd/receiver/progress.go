package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"receiver/internal/plain"
)

// counter shows on a terminal how many records are done, and nothing elsewhere. It is a
// records.Progress.
func (a *app) counter(what string) (show func(done, total int64), finish func()) {
	w := io.Discard
	if plain.IsTerminal(a.talk) {
		w = a.talk
	}
	bar := progressbar.NewOptions64(1, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionSetItsString("records"), progressbar.OptionShowIts(), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	show = func(done, total int64) {
		bar.ChangeMax64(max(total, 1))
		_ = bar.Set64(done)
	}
	return show, func() { _ = bar.Finish() }
}
