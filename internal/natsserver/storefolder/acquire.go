// Package storefolder looks after the folder of a store: which process holds its lock, which store
// it is, what it held when its server stopped last, and what is lost or damaged in it.
//
// It runs no server, and only Mend and Begin change a store.
package storefolder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// ErrInUse is returned when another process runs the server on a folder. Running returns how to
// reach it.
var ErrInUse = errors.New("another receiver runs on this folder")

const (
	lockFile    = "receiver.lock"
	addressFile = "receiver.address"
)

// Lock is the exclusive right to a folder. The kernel releases its file locks however the process
// ends.
type Lock struct {
	locks   *folderLock
	address string
	holder  string
}

// Acquire locks a folder; see waitForLock for how long it waits.
func Acquire(ctx context.Context, folder string, timeout time.Duration, log zerolog.Logger) (*Lock, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("creating the folder of the embedded NATS server: %w", err)
	}
	lock, err := waitForLock(ctx, folder, timeout, log)
	if err != nil {
		return nil, err
	}
	noteHolder(folder)
	removeUnfinished(folder)
	l := &Lock{locks: lock, address: filepath.Join(folder, addressFile), holder: filepath.Join(folder, holderFile)}
	// The address that a killed process left would be taken for the address of this one until
	// Announce, and another program may use its port by now.
	err = l.noteCrash(folder)
	if err == nil {
		err = os.Remove(l.address)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.Release()
		return nil, fmt.Errorf("removing the address of an earlier server: %w", err)
	}
	return l, nil
}

// noteCrash creates the mark of a running server if the last process left its address behind: an
// earlier version makes no mark.
func (l *Lock) noteCrash(folder string) error {
	if _, err := os.Stat(l.address); err != nil {
		return err
	}
	mark, err := os.OpenFile(filepath.Join(folder, runFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return mark.Close()
}

// Announce writes the address of the running server for other commands, with the id of its process:
// the address of a killed process is invalid, even before the next process removes it.
func (l *Lock) Announce(url string) error {
	half := l.address + ".new" // so that no command reads half an address
	err := os.WriteFile(half, fmt.Appendf(nil, "%d %s", os.Getpid(), url), 0o600)
	if err == nil {
		err = os.Rename(half, l.address)
	}
	if err != nil {
		return fmt.Errorf("writing the address of the embedded NATS server: %w", err)
	}
	return nil
}

// Release removes the address and releases the folder.
func (l *Lock) Release() {
	_ = os.Remove(l.holder)
	_ = os.Remove(l.address) // a command that still finds it also finds the folder unlocked
	l.locks.release()
}

// alive reports whether a process of that number exists, whether or not this process may signal it.
func alive(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 0 {
		return false
	}
	p, err := os.FindProcess(n)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }() // on Linux it holds a descriptor
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}

// Share keeps the folder from being locked until release is called. It returns ErrInUse if it is
// locked already, and writes nothing into the folder.
func Share(folder string) (release func(), err error) {
	lock, ok, err := lockFolder(folder, true)
	if err != nil {
		return nil, fmt.Errorf("checking the lock of %s: %w", folder, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s; %v", ErrInUse, folder, holderOf(folder))
	}
	return lock.release, nil
}

// ErrNotRunning is returned by Running when no server runs on the folder.
var ErrNotRunning = errors.New("no receiver runs")

// AddressOf returns the address of the server that another process runs on a folder. It returns
// ErrNotRunning if there is none.
func AddressOf(folder string) (string, error) {
	release, err := Share(folder)
	if err == nil {
		release()
		return "", fmt.Errorf("%w on %s", ErrNotRunning, folder)
	}
	if !errors.Is(err, ErrInUse) {
		return "", err
	}
	address, err := os.ReadFile(filepath.Join(folder, addressFile))
	if err != nil {
		return "", fmt.Errorf("%w on %s yet: %v", ErrNotRunning, folder, err)
	}
	pid, url, _ := strings.Cut(string(address), " ")
	if !alive(pid) {
		return "", fmt.Errorf("%w on %s yet: the address there is that of a stopped receiver", ErrNotRunning, folder)
	}
	if url == "" {
		return "", fmt.Errorf("%w: %s; it listens on no port: set nats.embedded.address", ErrInUse, folder)
	}
	return url, nil
}

// Check returns an error if another process has locked the folder too. If the lock file was
// removed, Check creates it again and returns its path.
func (l *Lock) Check() (mended string, err error) {
	again, err := l.locks.check()
	if again {
		mended = l.locks.file.Path()
	}
	return mended, err
}

// Announced reports whether the file with the server's address exists.
func (l *Lock) Announced() bool { return exists(l.address) }

// Stat describes the folder.
func (l *Lock) Stat() (os.FileInfo, error) { return l.locks.stat() }

// Unlock releases the folder and removes nothing: another process may own what is at its path.
func (l *Lock) Unlock() { l.locks.release() }
