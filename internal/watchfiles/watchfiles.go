// Package watchfiles says when the content of files may have changed, however they are replaced.
package watchfiles

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long files must be left alone before they count as changed:
	// editors and secret mounts change a file in several steps.
	settleTime = 100 * time.Millisecond
	// lookPause is how often files are looked at. The system only brings a look forward:
	// it says nothing of changes made by others on a network's file system, of a link to
	// a folder that is turned, and of folders that are not there yet.
	lookPause = 2 * time.Second
	// firstRetry is the pause after a call that failed. It is doubled up to lastRetry.
	firstRetry = 2 * time.Second
	lastRetry  = 30 * time.Second
)

// Watching says what Watch does. Changed and Blind must be set.
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
	// Blind is called with the reason if the system does not report changes in the folders of all
	// files, and with nil if it does again. Until then changes are noticed later.
	Blind func(error)
}

// Watch calls Changed, one call at a time, at the start, since the files may have changed
// after they were read, and whenever the content of one of them has become another,
// until ctx is done. It may call without a change too. Folders are watched rather than
// files, since editors and secret mounts replace files instead of writing to them.
// Nothing that is wrong with files or folders ends it.
func Watch(ctx context.Context, o Watching) {
	w := &watch{Watching: o, open: fsnotify.NewWatcher}
	w.run(ctx)
}

type digest [sha256.Size]byte

type watch struct {
	Watching
	open   func() (*fsnotify.Watcher, error)
	system *fsnotify.Watcher // nil while the system tells of nothing
	blind  string            // the last argument of Blind

	seen  digest        // of the last look
	known digest        // of the last look that was followed by a call
	retry time.Duration // 0 unless the last call failed
	again time.Time     // when it is retried
}

func (w *watch) run(ctx context.Context) {
	defer w.close()
	next := time.NewTimer(0)
	defer next.Stop()
	soon := true // the next look is near; else every change around the files would put it off
	for {
		pause := settleTime
		events, errs := w.told()
		select {
		case <-ctx.Done():
			return
		case <-w.Asked:
			w.look()
			w.call(true)
		case _, open := <-events:
			if w.hear(open); soon {
				continue
			}
		case _, open := <-errs: // what happened may be lost
			if w.hear(open); soon {
				continue
			}
		case <-next.C:
			pause = w.turn()
		}
		soon = pause == settleTime
		next.Reset(pause)
	}
}

// turn looks at the files, calls if there is a reason, and returns when to look again.
func (w *watch) turn() time.Duration {
	before := w.seen
	w.look()
	switch {
	case w.seen != before: // and may be changing still
	case w.seen != w.known:
		w.retry = 0
		w.call(false)
	case w.retry > 0 && !time.Now().Before(w.again):
		w.call(false)
	default:
		return lookPause
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

// look reads the files. The system is to tell of what changes from then on.
func (w *watch) look() {
	err := w.follow()
	now := ""
	if err != nil {
		now = err.Error()
	}
	if now != w.blind {
		w.blind = now
		w.Blind(err)
	}
	w.seen = digestOf(w.Files)
}

// follow has the system tell of changes in the folders of the files. It is asked each time,
// since a folder may be another one by now.
func (w *watch) follow() error {
	if w.system == nil {
		system, err := w.open()
		if err != nil {
			return fmt.Errorf("watching files: %w", err)
		}
		w.system = system
	}
	var errs []error
	done := map[string]bool{}
	for _, f := range w.Files {
		folder := filepath.Dir(f)
		if done[folder] {
			continue
		}
		done[folder] = true
		if err := w.system.Add(folder); err != nil {
			errs = append(errs, fmt.Errorf("watching the folder %s: %w", folder, err))
		}
	}
	return errors.Join(errs...)
}

// told returns what the system tells by; nil channels while it tells nothing.
func (w *watch) told() (<-chan fsnotify.Event, <-chan error) {
	if w.system == nil {
		return nil, nil
	}
	return w.system.Events, w.system.Errors
}

// hear notes whether the system goes on telling.
func (w *watch) hear(on bool) {
	if !on {
		w.system = nil // another one is opened at the next look
	}
}

func (w *watch) close() {
	if w.system != nil {
		_ = w.system.Close() // nothing is asked of it any more
	}
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
