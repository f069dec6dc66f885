// Package durable writes files so that a crash, or a loss of power, leaves the old one or the
// new one.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile makes a file appear at path, whole and for its owner alone (mode 0600), in place of
// one that is there. It is on disk when WriteFile returns; after an error the one before is there.
// A process that is killed meanwhile leaves a file .new-* beside it, which may be removed.
func WriteFile(path string, data []byte) error {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, ".new-*") // mode 0600
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

// SyncFolder brings to disk which files are in a folder.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
