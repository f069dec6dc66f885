package natsserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"receiver/internal/natsserver/storefolder"
)

// failure returns why the server takes no writes; nil if it does. The errors that the server logs
// show a failed write even when no file descriptor is left to read the folder with.
func (s *Server) failure() error {
	if text := s.log.failedWrite(); text != "" {
		return errors.New(text)
	}
	ns := s.ns.Load()
	if !ns.Running() {
		return errors.New("its server is not running")
	}
	if !ns.JetStreamEnabled() {
		return fmt.Errorf("its server has disabled JetStream: %s", s.log.lastError())
	}
	if len(ns.Healthz(&server.HealthzOptions{Details: true}).Errors) == 0 {
		return nil
	}
	// It reports streams that it did not open, such as one that is being created, and streams that
	// take no writes. So the others are those that are open before it reports them.
	opened := storefolder.StreamsOf(ns)
	for _, e := range ns.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if _, open := opened[e.Stream]; open && e.Type == server.HealthzErrorStream {
			return errors.New(e.Error)
		}
	}
	return nil
}

// tryRestart starts the server again, unless it was tried a moment ago, and returns the status
// after that.
func (s *Server) tryRestart(now Status) Status {
	began := time.Now()
	if began.Before(s.nextRestart) {
		return now
	}
	if began.Sub(s.nextRestart) > maxRestartDelay {
		s.restartDelay = 0
	}
	err := s.restart()
	s.restartDelay = min(max(2*s.restartDelay, minRestartDelay), maxRestartDelay)
	s.nextRestart = time.Now().Add(s.restartDelay)
	if err != nil {
		now.Err = fmt.Errorf("restarting the store in %s: %w; the receiver tries again until it succeeds", s.e.Folder, err)
		s.e.Log.Warn().Err(err).Stringer("retry_in", s.restartDelay).Msg("restarting the store failed and is tried again")
		return now
	}
	now.Restarts++
	again := s.currentStatus()
	again.Restarts = now.Restarts
	return again
}

// restart starts the server again on the same folder and port. The old server is stopped in any
// case.
func (s *Server) restart() error {
	old := s.ns.Load()
	opts, err := s.e.options(s.filter)
	if err != nil {
		return err
	}
	old.Shutdown()
	old.WaitForShutdown()
	if err := tryWrite(s.e.Folder); err != nil {
		return err
	}
	if err := storefolder.CheckFiles(s.e.Folder); err != nil {
		return err
	}
	if err := storefolder.SyncFiles(s.e.Folder); err != nil {
		return err
	}
	ns, said, err := start(opts, s.filter, s.e.Log)
	if err != nil {
		return err
	}
	if err := checkAllOpened(ns, s.e.Folder); err != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
		return err
	}
	s.log = said
	s.ns.Store(ns)
	return nil
}

// tryWrite writes a file in a folder, calls fsync and removes it. A server needs that to run, and
// checks less when it starts.
func tryWrite(folder string) error {
	f, err := os.CreateTemp(folder, ".try-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 256<<10))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// checkAllOpened returns an error if a server has not opened all streams in its folder. A stream
// that it skips, for example for want of a file descriptor, would be created again, and empty.
func checkAllOpened(ns *server.Server, folder string) error {
	if !ns.JetStreamEnabled() {
		return errors.New("the server has disabled JetStream")
	}
	streams := filepath.Join(folder, "jetstream", storefolder.OwnerAccount, "streams")
	entries, err := os.ReadDir(streams)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	opened := storefolder.StreamsOf(ns)
	for _, e := range entries {
		_, there := opened[e.Name()]
		if _, err := os.Stat(filepath.Join(streams, e.Name(), server.JetStreamMetaFile)); !there && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the server did not open stream %s", e.Name())
		}
	}
	return nil
}
