package storefolder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// folderLock is a lock on a store's folder: on the folder itself, which cannot be removed while it
// is in use as a file in it can, and on receiver.lock. Earlier versions lock only that file, and it
// is the only lock where a folder cannot be locked (Windows, NFS).
type folderLock struct {
	folder *flock.Flock // nil where folders cannot be locked
	file   *flock.Flock
}

// lockFolder tries to lock a folder, exclusively or shared. It reports false if another process
// holds it.
func lockFolder(folder string, shared bool) (_ *folderLock, ok bool, err error) {
	try := (*flock.Flock).TryLock
	if shared {
		try = (*flock.Flock).TryRLock
	}
	l := &folderLock{folder: flock.New(folder, flock.SetFlag(os.O_RDONLY)), file: flock.New(filepath.Join(folder, lockFile))}
	if ok, err = try(l.folder); err != nil {
		l.folder = nil // a real fault of the folder shows at the file, too
	} else if !ok {
		return nil, false, nil
	}
	if shared && !exists(l.file.Path()) {
		l.file = nil // reading leaves no trace
		return l, true, nil
	}
	if ok, err = try(l.file); ok && err == nil {
		return l, true, nil
	}
	l.release()
	return nil, false, err
}

// check returns an error if another process holds the lock too. It creates a lock file that was
// removed again.
func (l *folderLock) check() (mended bool, err error) {
	path := l.file.Path()
	held, err := l.file.Stat()
	if err != nil {
		return false, nil // an unreadable handle says nothing about the lock
	}
	if there, err := os.Stat(path); err == nil && os.SameFile(held, there) || err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	fresh := flock.New(path)
	ok, err := fresh.TryLock()
	if err != nil {
		return false, nil // no inode, or no descriptor: it is tried again
	}
	if !ok {
		return false, fmt.Errorf("%w: %s was replaced, and another process locked it", ErrInUse, path)
	}
	_ = l.file.Unlock() // the old file was removed
	l.file = fresh
	return true, nil
}

// stat describes the folder that is locked.
func (l *folderLock) stat() (os.FileInfo, error) {
	if l.folder != nil {
		return l.folder.Stat()
	}
	return os.Stat(filepath.Dir(l.file.Path()))
}

func (l *folderLock) release() {
	if l.file != nil {
		_ = l.file.Unlock()
	}
	if l.folder != nil {
		_ = l.folder.Unlock()
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}
