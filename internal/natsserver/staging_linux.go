package natsserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// shared is where Linux has a file system in memory; tmpfs is its type, in linux/magic.h.
const (
	shared = "/dev/shm"
	tmpfs  = 0x01021994
)

// memoryFor returns the name of a folder in memory that belongs to one folder on disk of this
// machine; empty if there is no file system in memory.
func memoryFor(folder string) string {
	var system syscall.Statfs_t
	var st syscall.Stat_t
	if syscall.Statfs(shared, &system) != nil || system.Type != tmpfs || syscall.Stat(folder, &st) != nil {
		return ""
	}
	return filepath.Join(shared, fmt.Sprintf("receiver-batches-%x-%x", st.Dev, st.Ino))
}

// own creates a folder if it is missing. Any user may write beside it, so it is an error if another
// user can access it.
func own(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("staging batches in memory: %w", err)
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return fmt.Errorf("staging batches in memory: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode() != fs.ModeDir|0o700 || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("staging batches in memory: %s is not a folder that only this user can access", folder)
	}
	return nil
}
