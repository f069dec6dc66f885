package natsserver

import (
	"context"
	"fmt"
	"net"
	"time"

	"receiver/internal/natsserver/storefolder"
)

// State is the state of a store in one word, as in the log and in a metric.
type State string

// The states of a store. In all but StateOK callbacks are answered 503.
const (
	// StateOK: the store takes writes.
	StateOK State = "ok"
	// StateFull: its disk has too little free space; it takes writes again when there is more.
	StateFull State = "full"
	// StateRestarting: a write failed, and the server is restarted until it takes writes.
	StateRestarting State = "restarting"
	// StateLost: the store is not where it was, or another process uses it too. It takes no writes
	// until the process is restarted: what it acknowledged would not be found there.
	StateLost State = "lost"
	// StateStream: a stream is missing, or has settings that break the guarantees.
	StateStream State = "stream"
	// StateAway: there is no connection to the cluster.
	StateAway State = "away"
)

// States are all states.
var States = []State{StateOK, StateFull, StateRestarting, StateLost, StateStream, StateAway}

// How a full disk affects an embedded server: a write that fails, for want of space, of a file
// descriptor or for any other reason, ends all writes to that stream until the server restarts
// (nats-server, filestore.go, setWriteErr), and its publisher gets no answer. So writes are refused
// here while some space is still free. If a write fails all the same, the server is restarted
// inside this process until it takes writes again; for the streams that is the same as after a
// crash.
const (
	minFree         = 64 << 20               // space that stays free, in bytes,
	minFreeFiles    = 64                     // and in files,
	minFreeFraction = 16                     // or this part of a small disk
	statusInterval  = 250 * time.Millisecond // how often the status is checked
)

// The first restart is immediate. The delay grows from one restart to the next, until the store was
// in order for as long as the longest delay.
const (
	minRestartDelay = time.Second
	maxRestartDelay = 30 * time.Second
)

// Status is the status of the store of an embedded server.
type Status struct {
	// Free is how many bytes may still be written to its file system; -1 if that is not known.
	Free int64
	// State says whether it takes writes.
	State State
	// Err is nil while it does; otherwise it says why it does not, and what to do.
	Err error
	// Restarts is how often the server was restarted after a failed write.
	Restarts int
}

// diskSpace is the space of a file system. totalFiles is zero if it does not count files.
type diskSpace struct{ free, total, files, totalFiles int64 }

// shortage says what is missing, if there is too little space. A disk that was full needs half as
// much again, so that the state does not change back and forth (hysteresis).
func (s diskSpace) shortage(was bool) string {
	bytes, files := min(int64(minFree), s.total/minFreeFraction), min(int64(minFreeFiles), s.totalFiles/minFreeFraction)
	if was {
		bytes, files = bytes+bytes/2, files+files/2
	}
	switch {
	case s.free < bytes:
		return fmt.Sprintf("%d MiB free, %d MiB needed", s.free>>20, bytes>>20)
	case s.totalFiles > 0 && s.files < files:
		return fmt.Sprintf("%d inodes free, %d needed", s.files, files)
	}
	return ""
}

// Status returns the status of the store, as checked less than a second ago.
func (s *Server) Status() Status { return *s.status.Load() }

// InProcessConn returns a connection to the server that runs now; nats.go calls it for every
// connect and reconnect.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.Load().InProcessConn() }

// watchStatus checks the store until ctx is done.
func (s *Server) watchStatus(ctx context.Context) {
	tick := time.NewTicker(statusInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.checkStatus()
		}
	}
}

// checkStatus updates the status, and restarts the server where the status requires it.
func (s *Server) checkStatus() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.currentStatus()
	if now.State == StateRestarting {
		s.setStatus(now) // for that is so while it is tried
		now = s.tryRestart(now)
	}
	s.setStatus(now)
	if now.State != StateLost {
		s.StageBatches()
	}
}

// currentStatus determines the status of the store.
func (s *Server) currentStatus() Status {
	was := s.Status()
	now := Status{Free: -1, State: StateOK, Restarts: was.Restarts}
	has, known := diskSpaceOf(s.e.Folder)
	if known {
		now.Free = has.free
	}
	if s.lost == nil && s.lock != nil {
		s.lost = s.checkLocation()
	}
	if s.lost != nil {
		now.State, now.Err = StateLost, s.lost
		return now
	}
	if wanted := has.shortage(was.State == StateFull); known && wanted != "" {
		now.State = StateFull
		now.Err = fmt.Errorf("the disk of %s is full: %s; free disk space, or give the store a larger disk; "+
			"the store then takes writes again", s.e.Folder, wanted)
		return now
	}
	if failed := s.failure(); failed != nil {
		now.State = StateRestarting
		now.Err = fmt.Errorf("the store in %s takes no writes: %w; the receiver restarts it until it does: check its disk, "+
			"its port, its file descriptors and its files", s.e.Folder, failed)
	}
	return now
}

// setStatus stores a status, and logs it if it differs from the one before.
func (s *Server) setStatus(now Status) {
	was := s.Status()
	s.status.Store(&now)
	switch {
	case now.State == was.State && now.Restarts == was.Restarts:
	case now.Err != nil:
		s.e.Log.Error().Err(now.Err).Str("state", string(now.State)).Msg("the store takes no writes; callbacks are answered 503")
	default:
		s.e.Log.Info().Int64("free", now.Free).Int("restarts", now.Restarts).Msg("the store takes writes again")
	}
}

// Found returns how the server found its streams at Start.
func (s *Server) Found() storefolder.Found { return s.found }
