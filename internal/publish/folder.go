package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"
)

// ErrInUse is returned when another process runs the server on a folder. Attach
// reaches the streams through it.
var ErrInUse = errors.New("another receiver runs on this folder")

const (
	lockFile    = "receiver.lock"
	addressFile = "receiver.address"
)

// claim is the exclusive right to a folder, held by locks: the kernel gives them back
// however the process ends.
type claim struct {
	lock    *folderLock
	address string
	holder  string
}

// claimFolder takes a folder; see await for how long that may last.
func claimFolder(ctx context.Context, folder string, most time.Duration, log zerolog.Logger) (*claim, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("creating the folder of the embedded NATS server: %w", err)
	}
	lock, err := await(ctx, folder, most, log)
	if err != nil {
		return nil, err
	}
	noteHolder(folder)
	c := &claim{lock: lock, address: filepath.Join(folder, addressFile), holder: filepath.Join(folder, holderFile)}
	// What a killed process left would be taken for ours until we have announced our
	// own, and its port may be anybody's by now.
	err = c.noteCrash(folder)
	if err == nil {
		err = os.Remove(c.address)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.release()
		return nil, fmt.Errorf("removing the address of an earlier server: %w", err)
	}
	return c, nil
}

// noteCrash has the mark of a running server in the folder where the last one left its
// address behind: one of an earlier version makes no mark.
func (c *claim) noteCrash(folder string) error {
	if _, err := os.Stat(c.address); err != nil {
		return err
	}
	mark, err := os.OpenFile(filepath.Join(folder, runFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return mark.Close()
}

// announce leaves the address of the running server for other commands, with the
// process it runs in: the address of a process that was killed is nobody's, even while
// the next one is about to remove it.
func (c *claim) announce(url string) error {
	half := c.address + ".new" // nobody reads half an address
	err := os.WriteFile(half, fmt.Appendf(nil, "%d %s", os.Getpid(), url), 0o600)
	if err == nil {
		err = os.Rename(half, c.address)
	}
	if err != nil {
		return fmt.Errorf("writing the address of the embedded NATS server: %w", err)
	}
	return nil
}

func (c *claim) release() {
	_ = os.Remove(c.holder)
	_ = os.Remove(c.address) // who finds it all the same also finds that nobody holds the lock
	c.lock.release()
}

// Attach connects, as the owner, to the server that another process runs on a
// folder. It returns ErrNotRunning if there is none.
func Attach(ctx context.Context, folder string, o Options) (*Bus, error) {
	url, as, err := running(folder)
	if err != nil {
		return nil, err
	}
	b, err := connect(ctx, url, o, append(baseOptions(o), as...))
	if err == nil {
		b.folder = folder
	}
	return b, err
}

// running returns the address of the server that another process runs on a folder, and
// what signs us in there as the owner.
func running(folder string) (url string, as []nats.Option, err error) {
	release, err := share(folder)
	if err == nil {
		release()
		return "", nil, fmt.Errorf("%w on %s", ErrNotRunning, folder)
	}
	if !errors.Is(err, ErrInUse) {
		return "", nil, err
	}
	address, err := os.ReadFile(filepath.Join(folder, addressFile))
	if err != nil {
		return "", nil, fmt.Errorf("%w on %s yet: %v", ErrNotRunning, folder, err)
	}
	pid, url, _ := strings.Cut(string(address), " ")
	if !alive(pid) {
		return "", nil, fmt.Errorf("%w on %s yet: the address there is of one that has gone", ErrNotRunning, folder)
	}
	if url == "" {
		return "", nil, fmt.Errorf("%w: %s; it listens on no port: set nats.embedded.address", ErrInUse, folder)
	}
	owner, err := ownerOf(folder)
	if err != nil {
		return "", nil, err
	}
	key, err := signIn(owner)
	if err != nil {
		return "", nil, err
	}
	as, err = encrypted(url, owner)
	return url, append(as, key), err
}

// alive reports whether there is a process of that number, be it ours to signal or not.
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

// ErrNotRunning is returned by Attach when no server runs on the folder.
var ErrNotRunning = errors.New("no receiver runs")

// share keeps the folder from being claimed until release is called. It returns
// ErrInUse if it is claimed already, and leaves no trace in the folder.
func share(folder string) (release func(), err error) {
	lock, ok, err := lockFolder(folder, true)
	if err != nil {
		return nil, fmt.Errorf("looking at the lock of %s: %w", folder, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s; %v", ErrInUse, folder, holderOf(folder))
	}
	return lock.release, nil
}

// ErrNoStore is returned by Inspect when nothing was ever stored in the folder.
var ErrNoStore = errors.New("the folder holds no streams")

// Inspect runs a server, without a port, on a private copy of the folder's streams,
// for reading. Opening the folder itself would let the server expire and repair what
// is in it, and evidence must not change by being looked at. The copy goes with Stop;
// in it, events past the age that JOBS keeps them for are gone.
// Messages of the evidence that are damaged are left out of it; Server.Damage names them.
// It returns ErrInUse if another process runs on the folder.
func Inspect(folder string, log zerolog.Logger) (_ *Server, err error) {
	source := filepath.Join(folder, "jetstream")
	if _, err := os.Stat(source); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNoStore, folder)
	}
	release, err := share(folder)
	if err != nil {
		return nil, err
	}
	defer release()
	temp, err := os.MkdirTemp("", "receiver-inspect-")
	if err != nil {
		return nil, fmt.Errorf("making room for a private copy: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temp)
		}
	}()
	if err := copyTree(source, filepath.Join(temp, "jetstream")); err != nil {
		return nil, fmt.Errorf("copying the streams of %s: %w", folder, err)
	}
	damage, err := mendCopy(filepath.Join(temp, "jetstream"))
	if err != nil {
		return nil, err
	}
	e := Embedded{Folder: temp, Log: log}
	owner, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("making a key for the copy: %w", err)
	}
	gate, err := newGate(e, owner)
	if err != nil {
		return nil, err
	}
	opts, err := e.options(gate)
	if err != nil {
		return nil, err
	}
	ns, said, err := start(opts, gate, log)
	if err != nil {
		return nil, err
	}
	s := newServer(ns, said, e, owner, gate)
	s.scratch, s.damage = temp, damage
	return s, nil
}

// copyTree copies regular files and folders; there is nothing else in a store but links to
// where batches are staged. Folders that begin with a dot are of streams that were deleted
// and are just being removed.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if d.Type()&fs.ModeSymlink != 0 && d.Name() == batchesFolder {
			return copyStaged(path, target)
		}
		return copyFile(path, target)
	})
}

// copyStaged copies what a link leads to, if it does.
func copyStaged(link, to string) error {
	from, err := filepath.EvalSymlinks(link)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return copyTree(from, to)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// io.Copy lets the kernel share the blocks where the file system can.
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
