// Package durable writes files so that a crash, or a loss of power, leaves the old one or the
// new one.
package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// unfinished begins the name of a file that WriteFile has not renamed yet.
const unfinished = ".new-"

// WriteFile makes a file appear at path, whole and for its owner alone (mode 0600), in place of
// one that is there. It is on disk when WriteFile returns; after an error the one before is there.
// A process that is killed meanwhile leaves a file .new-* beside it; see RemoveUnfinished.
func WriteFile(path string, data []byte) error {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, unfinished+"*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncFolder(folder)
}

// WriteNew writes a file for its owner alone (mode 0600), and never over anything: its error
// matches fs.ErrExist if there is something at path, a link that leads nowhere included. The file
// is on disk when WriteNew returns; after another error there is none.
func WriteNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return SyncFolder(filepath.Dir(path))
}

// RemoveUnfinished removes from a folder what killed calls of WriteFile left there: files that
// nobody has written to for a minute. The others may be of a call that still runs.
func RemoveUnfinished(folder string) error {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		if info, gone := e.Info(); gone == nil && strings.HasPrefix(e.Name(), unfinished) && time.Since(info.ModTime()) > time.Minute {
			err = errors.Join(err, os.Remove(filepath.Join(folder, e.Name())))
		}
	}
	return err
}

// SyncFolder brings to disk which files are in a folder.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
