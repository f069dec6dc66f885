// Package local connects two processes of the same user, by a socket in a folder that only this
// user can enter. The file system decides which processes can connect and listen: a secret is
// neither sent nor needed. The package does not interpret the data.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// socketFile is the socket's name in its folder.
const socketFile = "receiver.sock"

// longest is what every system takes as the path of a socket.
const longest = 100

// Listen listens in a folder, which the caller must hold: what is there of a process that was
// killed is replaced. Only the owner of this process, and root, can connect.
func Listen(folder string) (net.Listener, error) {
	// Made in a folder that nobody else enters, it is never open to others.
	scratch, err := os.MkdirTemp(folder, socketFile+"-")
	if err != nil {
		return nil, fmt.Errorf("listening in %s: %w", folder, err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	var ln *net.UnixListener
	err = at(scratch, func(path string) (err error) {
		ln, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening in %s: %w", folder, err)
	}
	ln.SetUnlinkOnClose(false) // by a path that is another by then
	path := filepath.Join(folder, socketFile)
	err = os.Chmod(filepath.Join(scratch, socketFile), 0o600)
	if err == nil {
		err = os.Rename(filepath.Join(scratch, socketFile), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening in %s: %w", folder, err), ln.Close())
	}
	return &listener{UnixListener: ln, path: path}, nil
}

// listener takes its socket away when it is closed.
type listener struct {
	*net.UnixListener
	path string
}

// Close ends the listener.
func (l *listener) Close() error {
	err := l.UnixListener.Close()
	if gone := os.Remove(l.path); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// Dial connects to the process that listens in a folder. Without one the error is
// fs.ErrNotExist, or syscall.ECONNREFUSED after it was killed.
func Dial(ctx context.Context, folder string) (c net.Conn, err error) {
	err = at(folder, func(path string) (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		return err
	})
	return c, err
}

// at calls do with a path of the socket in a folder that the system takes. On Linux there is
// one for every folder.
func at(folder string, do func(path string) error) error {
	path := filepath.Join(folder, socketFile)
	if len(path) <= longest || runtime.GOOS != "linux" {
		return do(path)
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), socketFile))
}
