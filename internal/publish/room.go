package publish

import (
	"context"
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

// What a full disk does to an embedded server. A write that fails for want of space ends
// all writing to that stream until the server starts again (nats-server, filestore.go,
// setWriteErr), without an answer to whoever wrote. So writing is refused here while
// something is still free, and if a write has failed all the same, the server is started
// again inside this process as soon as there is space: to the streams that is the same as
// after a crash.
const (
	leastFree = 64 << 20               // what stays free, in bytes,
	leastPart = 16                     // or this part of a small disk
	roomTick  = 250 * time.Millisecond // how often is looked

	restartPause = 5 * time.Second // between two tries to start the server again
)

// Room is how the store of an embedded server stands.
type Room struct {
	// Free is what may still be written to its file system, in bytes; -1 if that is not known.
	Free int64
	// Full is nil, or says why nothing is written and what to do.
	Full error
	// Restarts is how often the server was started again after a write had failed.
	Restarts int
}

// Room returns how the store stands, by a look less than a second old.
func (s *Server) Room() Room { return *s.room.Load() }

// InProcessConn gives a connection to the server that runs now; nats.go calls it for
// every connect and reconnect.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.Load().InProcessConn() }

// refuse is an ErrUnavailable while the store takes no writes.
func (b *Bus) refuse() error {
	if b.server == nil {
		return nil
	}
	if full := b.server.Room().Full; full != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, full)
	}
	return nil
}

// watchRoom looks after the store until ctx is done.
func (s *Server) watchRoom(ctx context.Context) {
	tick := time.NewTicker(roomTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.look()
		}
	}
}

// look brings the state up to date, and says so when it changes.
func (s *Server) look() {
	s.turn.Lock()
	defer s.turn.Unlock()
	was := s.Room()
	now := Room{Restarts: was.Restarts}
	free, total, known := freeSpace(s.e.Folder)
	now.Free = free
	if !known {
		now.Free = -1
	}
	reserve := min(int64(leastFree), total/leastPart)
	if was.Full != nil {
		reserve += reserve / 2 // so that it does not go to and fro
	}
	failed := s.failure()
	switch {
	case failed != "" && !isNoSpace(failed):
		now.Full = fmt.Errorf("the store in %s cannot be written: %s; look after the disk, then restart the receiver", s.e.Folder, failed)
	case known && free < reserve:
		now.Full = fmt.Errorf("the disk of %s is full: %d MiB free, %d MiB wanted; make room there, or give the store a larger disk; "+
			"writing goes on by itself", s.e.Folder, free>>20, reserve>>20)
	case failed != "" && was.Full != nil && time.Now().Before(s.again):
		now.Full = was.Full
	case failed != "":
		s.again = time.Now().Add(restartPause)
		if err := s.restart(); err != nil {
			now.Full = fmt.Errorf("starting the store in %s again after the disk was full: %w; it is tried again", s.e.Folder, err)
			break
		}
		now.Restarts++
	}
	s.room.Store(&now)
	s.stage()
	switch {
	case now.Full != nil && was.Full == nil:
		s.e.Log.Error().Err(now.Full).Msg("nothing can be stored; callbacks are answered 503")
	case now.Full == nil && (was.Full != nil || now.Restarts > was.Restarts):
		s.e.Log.Info().Int64("free", now.Free).Int("restarts", now.Restarts).Msg("the store takes writes again")
	}
}

// failure is the first write error of a stream, or that JetStream is off; empty if all is well.
func (s *Server) failure() string {
	health := s.ns.Load().Healthz(&server.HealthzOptions{Details: true})
	for _, e := range health.Errors {
		if strings.Contains(e.Error, "write error") || e.Type == server.HealthzErrorJetStream {
			return e.Error
		}
	}
	return ""
}

// isNoSpace reports whether an error's text is that of a file system or a quota that is
// full, or of JetStream that was turned off, which nats-server does for that too.
func isNoSpace(text string) bool {
	for _, words := range []string{"no space left", "quota exceeded", "not established", "not enabled", "disabled"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// restart starts the server again on the same folder and port.
func (s *Server) restart() error {
	old := s.ns.Load()
	if a, ok := old.Addr().(*net.TCPAddr); ok && a != nil {
		s.e.Address = a.String() // clients come back to the same port
	}
	e := s.e
	opts, err := e.options(s.owner)
	if err != nil {
		return err
	}
	old.Shutdown()
	old.WaitForShutdown()
	if err := syncBlocks(e.Folder); err != nil {
		return err
	}
	ns, err := start(opts, e.Log)
	if err != nil {
		return err
	}
	s.ns.Store(ns)
	return nil
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
