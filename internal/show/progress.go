package show

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"receiver/internal/plain"
)

// bar shows how far something is on a terminal, and nothing elsewhere.
func (p Printer) bar(most int64, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	w := io.Discard
	if plain.IsTerminal(p.Talk) {
		w = p.Talk
	}
	return progressbar.NewOptions64(most, append(more, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())...)
}

// Upload shows bytes, rate and time left. A size of -1 is not known.
func (p Printer) Upload(size int64) (sent func(int64), done func()) {
	bar := p.bar(size, "uploading", progressbar.OptionShowBytes(true))
	return func(n int64) { _ = bar.Set64(n) }, func() { _ = bar.Finish() }
}

// Records shows how many records are done. It is a records.Progress.
func (p Printer) Records(what string) (show func(done, total int64), finish func()) {
	bar := p.bar(1, what, progressbar.OptionSetItsString("records"), progressbar.OptionShowIts())
	show = func(done, total int64) {
		bar.ChangeMax64(max(total, 1))
		_ = bar.Set64(done)
	}
	return show, func() { _ = bar.Finish() }
}
