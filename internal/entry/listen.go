package entry

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// Kinds of addresses besides host:port.
const (
	unixPrefix    = "unix:"
	systemdPrefix = "systemd:"
)

// Unix is the address of a client of a Unix socket: it has no other.
const Unix = "unix"

// Listen opens a listener at host:port, unix:/path or systemd:name. A socket at a path gets
// the permissions in mode.
func Listen(address string, mode fs.FileMode) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		return listenUnix(path, mode)
	}
	if name, ok := strings.CutPrefix(address, systemdPrefix); ok {
		return inherited(name)
	}
	return net.Listen("tcp", address)
}

// Dial returns the network and address to reach a listener by; host:port only if it is that.
func Dial(address string) (network, at string, err error) {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		return "unix", path, nil
	}
	if strings.HasPrefix(address, systemdPrefix) {
		return "", "", errors.New(address + " is known only to systemd")
	}
	return "tcp", address, nil
}

// listenUnix makes the socket under another name, where nobody else gets to, so that it has its
// permissions when it is there; what is no socket, or has a listener, is not replaced.
func listenUnix(path string, mode fs.FileMode) (_ net.Listener, err error) {
	if err := vacant(path); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, fmt.Errorf("the folder of the socket must exist, and the receiver must be able to write there: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	fresh := filepath.Join(folder, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // it has another name by then
	u := &unixListener{UnixListener: ln, path: path}
	err = os.Chmod(fresh, mode)
	if err == nil {
		u.file, err = os.Lstat(fresh)
	}
	if err == nil {
		err = vacant(path) // again: as late as can be
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return u, nil
}

// vacant says whether a socket can be made at a path: there is nothing, or a socket that nobody
// listens on any more.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket; move it away", path)
	}
	conn, err := net.Dial("unix", path) //nolint:noctx // a local socket answers at once
	if err == nil {
		return errors.Join(fmt.Errorf("%s: another program listens on this socket", path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s may have a listener: %w", path, err)
	}
	return nil
}

// unixListener is a Unix socket whose clients have a name.
type unixListener struct {
	*net.UnixListener
	path string // empty where it belongs to somebody else
	file fs.FileInfo
	once sync.Once
}

// Accept waits for the next connection.
func (l *unixListener) Accept() (net.Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return unixConn{c}, nil
}

// Addr is what the configuration calls it.
func (l *unixListener) Addr() net.Addr {
	if l.path == "" {
		return l.UnixListener.Addr()
	}
	return unixAddr(unixPrefix + l.path)
}

// Close closes the listener, and removes its socket unless another one is there.
func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	l.once.Do(func() {
		if now, gone := os.Lstat(l.path); l.path != "" && gone == nil && os.SameFile(l.file, now) {
			err = errors.Join(err, os.Remove(l.path))
		}
	})
	return err
}

type unixConn struct{ *net.UnixConn }

// RemoteAddr is the same for all: the system knows no address.
func (unixConn) RemoteAddr() net.Addr { return unixAddr(Unix) }

type unixAddr string

// Network implements net.Addr.
func (unixAddr) Network() string { return "unix" }

func (a unixAddr) String() string { return string(a) }

// handed are the sockets of systemd, which are taken once.
var handed = sync.OnceValues(activation.ListenersWithNames)

var handedOut sync.Map // names of sockets that are in use

// inherited returns the socket of a name that systemd opened.
func inherited(name string) (net.Listener, error) {
	all, err := handed()
	if err != nil {
		return nil, fmt.Errorf("reading the sockets of systemd: %w", err)
	}
	if len(all[name]) != 1 {
		return nil, fmt.Errorf("systemd passed %d sockets named %s, want one: use a .socket unit with FileDescriptorName=%s", len(all[name]), name, name)
	}
	if _, twice := handedOut.LoadOrStore(name, true); twice {
		return nil, fmt.Errorf("another listener uses the socket %s", name)
	}
	if u, ok := all[name][0].(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it is systemd's
		return &unixListener{UnixListener: u}, nil
	}
	return all[name][0], nil
}
