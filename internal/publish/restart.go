package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// failure returns why the server takes no writes; nil if all is well. The log tells of a
// failed write even when there is no file descriptor left to look at the folder with.
func (s *Server) failure() error {
	if text := s.said.failedWrite(); text != "" {
		return errors.New(text)
	}
	ns := s.ns.Load()
	if !ns.Running() {
		return errors.New("its server is not running")
	}
	if !ns.JetStreamEnabled() {
		return fmt.Errorf("its server has turned JetStream off: %s", s.said.lastError())
	}
	for _, e := range ns.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, "write error") {
			return errors.New(e.Error)
		}
	}
	return nil
}

// revive starts the server again, unless it was tried a moment ago, and returns how the
// store stands then.
func (s *Server) revive(now Room) Room {
	began := time.Now()
	if began.Before(s.again) {
		return now
	}
	if began.Sub(s.again) > longestPause {
		s.pause = 0
	}
	err := s.restart()
	s.pause = min(max(2*s.pause, restartPause), longestPause)
	s.again = time.Now().Add(s.pause)
	if err != nil {
		now.Full = fmt.Errorf("starting the store in %s again: %w; it is tried again until that goes well", s.e.Folder, err)
		s.e.Log.Warn().Err(err).Stringer("next", s.pause).Msg("the store could not be started again")
		return now
	}
	now.Restarts++
	again := s.judge()
	again.Restarts = now.Restarts
	return again
}

// restart starts the server again on the same folder and port. The old one is stopped in any
// case.
func (s *Server) restart() error {
	old := s.ns.Load()
	if a, ok := old.Addr().(*net.TCPAddr); ok && a != nil {
		s.e.Address = a.String() // clients come back to the same port
	}
	opts, err := s.e.options(s.gate)
	if err != nil {
		return err
	}
	old.Shutdown()
	old.WaitForShutdown()
	if err := tryWrite(s.e.Folder); err != nil {
		return err
	}
	if err := lookThrough(s.e.Folder); err != nil {
		return err
	}
	if err := syncBlocks(s.e.Folder); err != nil {
		return err
	}
	ns, said, err := start(opts, s.gate, s.e.Log)
	if err != nil {
		return err
	}
	if err := complete(ns, s.e.Folder); err != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
		return err
	}
	s.said = said
	s.ns.Store(ns)
	return nil
}

// tryWrite writes a file in a folder, brings it to disk and removes it: what a server needs,
// and more than it needs to start.
func tryWrite(folder string) error {
	f, err := os.CreateTemp(folder, ".try-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 256<<10))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// complete returns an error if a server has not opened all streams that are in its folder:
// one that it leaves out, as for want of a file descriptor, would be made anew, and empty.
func complete(ns *server.Server, folder string) error {
	if !ns.JetStreamEnabled() {
		return errors.New("the server has turned JetStream off")
	}
	streams := filepath.Join(folder, "jetstream", ownerAccount, "streams")
	entries, err := os.ReadDir(streams)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	opened := streamsOf(ns)
	for _, e := range entries {
		_, there := opened[e.Name()]
		if !there && exists(filepath.Join(streams, e.Name(), server.JetStreamMetaFile)) {
			return fmt.Errorf("the server did not open stream %s", e.Name())
		}
	}
	return nil
}

// streamsOf returns the streams that a server has, in the account of the owner.
func streamsOf(ns *server.Server) map[string]server.StreamDetail {
	account, err := ns.JszAccount(&server.JSzOptions{Account: ownerAccount, Streams: true, Config: true})
	if err != nil {
		return nil
	}
	all := make(map[string]server.StreamDetail, len(account.Streams))
	for _, d := range account.Streams {
		all[d.Name] = d
	}
	return all
}

// syncBlocks calls fsync for every message block of a store that does not run. What was
// written and never synced, since a write beside it failed, or the process was killed, is
// there for the server when it starts, and a repeated callback would be answered 200 for it.
func syncBlocks(folder string) error {
	err := filepath.WalkDir(filepath.Join(folder, "jetstream"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".blk" {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bringing the store in %s to disk: %w", folder, err)
	}
	return nil
}
