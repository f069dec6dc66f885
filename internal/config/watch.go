package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is how long files must be left alone before they count as changed:
// editors and secret mounts change a file in several steps.
const settleTime = 100 * time.Millisecond

// Watch calls changed, one call at a time, at the start, since the files may have
// changed after they were read, and whenever the content of one of them has become
// another, until ctx is done; then it returns nil. It may call without a change too.
// Changed returns the files to watch from then on. Folders are watched rather than files, since editors
// and secret mounts replace files instead of writing to them.
func Watch(ctx context.Context, files []string, changed func() []string) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching the configuration: %w", err)
	}
	defer w.Close()
	if err := watchFolders(w, files); err != nil {
		return err
	}
	var last [sha256.Size]byte
	settled := time.NewTimer(0)
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Events:
			settled.Reset(settleTime)
		case err := <-w.Errors:
			if err != nil { // events may be lost: look
				settled.Reset(settleTime)
			}
		case <-settled.C:
			now := digest(files)
			if now == last {
				continue
			}
			files = changed()
			if err := watchFolders(w, files); err != nil {
				return err
			}
			// What changed during the call, or is watched since, is looked at again.
			last = now
			settled.Reset(settleTime)
		}
	}
}

func watchFolders(w *fsnotify.Watcher, files []string) error {
	for _, f := range files {
		if err := w.Add(filepath.Dir(f)); err != nil {
			return fmt.Errorf("watching the folder of %s: %w", f, err)
		}
	}
	return nil
}

// digest stands for the content of all files; one that cannot be read counts as empty.
func digest(files []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, f := range files {
		content, err := readBounded(f, maxFile)
		h.Write(fmt.Appendf(nil, "%q %v %d\n", f, err == nil, len(content)))
		h.Write(content)
	}
	h.Sum(sum[:0])
	return sum
}
