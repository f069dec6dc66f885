// Package watchfiles says when the content of files may have changed, however they are replaced.
package watchfiles

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

const (
	// settleTime is how long files must be left alone before they count as changed:
	// editors and secret mounts change a file in several steps.
	settleTime = 100 * time.Millisecond
	// checkInterval is how often files are read. No system reports every change: not those of
	// others on a network's file system, nor that another folder took a folder's place.
	checkInterval = 500 * time.Millisecond
	// firstRetry is the pause after a call that failed. It is doubled up to lastRetry.
	firstRetry = 2 * time.Second
	lastRetry  = 30 * time.Second
)

// Watching says what Watch does. Changed must be set.
type Watching struct {
	// Files are the absolute paths of what is watched until Changed names others.
	Files []string
	// Changed is called if the files may have changed, or, with asked, if a user requests it. It
	// returns the files to watch from then on, among them those that it could not read, and whether
	// it is done. If not, it is called again: when the content of one of them has changed, and from
	// time to time.
	Changed func(asked bool) (files []string, done bool)
	// Asked has Changed called without a change; nil for none.
	Asked <-chan os.Signal
}

// Watch calls Changed, one call at a time, at the start, since the files may have changed
// after they were read, and whenever the content of one of them has become another,
// until ctx is done. It may call without a change too. It finds a change within
// checkInterval, and calls when the content has stayed the same for settleTime. Nothing
// that is wrong with files or folders ends it.
func Watch(ctx context.Context, o Watching) {
	w := &watch{Watching: o}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		pause := settleTime
		select {
		case <-ctx.Done():
			return
		case <-w.Asked:
			w.seen = digestOf(w.Files)
			w.call(true)
		case <-next.C:
			pause = w.turn()
		}
		next.Reset(pause)
	}
}

type digest [sha256.Size]byte

type watch struct {
	Watching
	seen  digest        // of the last reading
	known digest        // of the last reading that was followed by a call
	retry time.Duration // 0 unless the last call failed
	again time.Time     // when it is retried
}

// turn reads the files, calls if there is a reason, and returns when to read them again.
func (w *watch) turn() time.Duration {
	before := w.seen
	w.seen = digestOf(w.Files)
	switch {
	case w.seen != before: // and may be changing still
	case w.seen != w.known:
		w.retry = 0
		w.call(false)
	case w.retry > 0 && !time.Now().Before(w.again):
		w.call(false)
	default:
		return checkInterval
	}
	return settleTime
}

// call calls Changed. Files that change during the call, or are watched since, are checked again.
func (w *watch) call(asked bool) {
	w.known = w.seen
	files, done := w.Changed(asked)
	w.Files = files
	if done {
		w.retry = 0
		return
	}
	w.retry = min(max(firstRetry, 2*w.retry), lastRetry)
	w.again = time.Now().Add(w.retry)
}

// digestOf stands for the content of all files, in whichever order they are named; one
// that cannot be read counts as empty.
func digestOf(files []string) (sum digest) {
	h := sha256.New()
	for _, f := range slices.Sorted(slices.Values(files)) {
		content, known := read(f)
		h.Write(fmt.Appendf(nil, "%q %v %d\n", f, known, len(content)))
		h.Write(content)
	}
	h.Sum(sum[:0])
	return sum
}

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

// read returns the content of a file that can be read and is not too large.
func read(path string) (content []byte, known bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	content, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(content) > maxFile {
		return nil, false
	}
	return content, true
}
