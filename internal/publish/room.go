package publish

import (
	"context"
	"fmt"
	"net"
	"time"
)

// State is how a store is, in one word. The word is in the log and in a metric.
type State string

// The states of a store. In all but StateOK callbacks are answered 503.
const (
	// StateOK takes writes.
	StateOK State = "ok"
	// StateFull has too little free on its disk; it goes on by itself when there is more.
	StateFull State = "full"
	// StateRestarting has failed to write, and is started again until that goes well.
	StateRestarting State = "restarting"
	// StateLost is not where it was, or belongs to another process too. It takes no more
	// until the process is restarted: what it acknowledged would not be found there.
	StateLost State = "lost"
	// StateStream lacks a stream, or has one that cannot keep our promises.
	StateStream State = "stream"
	// StateAway is a cluster to which there is no connection.
	StateAway State = "away"
)

// States are all of them.
var States = []State{StateOK, StateFull, StateRestarting, StateLost, StateStream, StateAway}

// What a full disk does to an embedded server. A write that fails, for want of space, of a
// file descriptor or for any other reason, ends all writing to that stream until the server
// starts again (nats-server, filestore.go, setWriteErr), without an answer to whoever wrote.
// So writing is refused here while something is still free, and if a write has failed all the
// same, the server is started again inside this process, until that goes well: to the streams
// that is the same as after a crash.
const (
	leastFree  = 64 << 20               // what stays free, in bytes,
	leastFiles = 64                     // and in files,
	leastPart  = 16                     // or this part of a small disk
	roomTick   = 250 * time.Millisecond // how often is looked
)

// The first restart is at once; from one to the next the pause grows, until the store was
// well for as long as the longest.
const (
	restartPause = time.Second
	longestPause = 30 * time.Second
)

// Room is how the store of an embedded server stands.
type Room struct {
	// Free is what may still be written to its file system, in bytes; -1 if that is not known.
	Free int64
	// State says whether it takes writes.
	State State
	// Full is nil while it does, or says why nothing is written and what to do.
	Full error
	// Restarts is how often the server was started again after a write had failed.
	Restarts int
}

// space is what there is of a file system. One that does not count its files has none at most.
type space struct{ free, total, files, mostFiles int64 }

// full says what is wanted, if there is too little. A disk that was full wants half as much
// again, so that it does not go to and fro.
func (s space) full(was bool) string {
	bytes, files := min(int64(leastFree), s.total/leastPart), min(int64(leastFiles), s.mostFiles/leastPart)
	if was {
		bytes, files = bytes+bytes/2, files+files/2
	}
	switch {
	case s.free < bytes:
		return fmt.Sprintf("%d MiB free, %d MiB wanted", s.free>>20, bytes>>20)
	case s.mostFiles > 0 && s.files < files:
		return fmt.Sprintf("room for %d files (inodes) more, %d wanted", s.files, files)
	}
	return ""
}

// Room returns how the store stands, by a look less than a second old.
func (s *Server) Room() Room { return *s.room.Load() }

// InProcessConn gives a connection to the server that runs now; nats.go calls it for
// every connect and reconnect.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.Load().InProcessConn() }

// refuse is an ErrUnavailable while the store takes no writes.
func (b *Bus) refuse() error {
	if b.server != nil {
		if full := b.server.Room().Full; full != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, full)
		}
	}
	if t := b.amiss.Load(); t.stops {
		return fmt.Errorf("%w: %w", ErrUnavailable, t.err)
	}
	return nil
}

// State says whether the streams take writes, by a look less than a second old.
func (b *Bus) State() State {
	switch {
	case b.server != nil && b.server.Room().State != StateOK:
		return b.server.Room().State
	case b.server == nil && !b.nc.IsConnected():
		return StateAway
	case b.amiss.Load().err != nil:
		return StateStream
	}
	return StateOK
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

// look brings the state up to date, and does what the state asks for.
func (s *Server) look() {
	s.turn.Lock()
	defer s.turn.Unlock()
	now := s.judge()
	if now.State == StateRestarting {
		s.enter(now) // for that is so while it is tried
		now = s.revive(now)
	}
	s.enter(now)
	if now.State != StateLost {
		s.stage()
	}
}

// judge finds out how the store stands.
func (s *Server) judge() Room {
	was := s.Room()
	now := Room{Free: -1, State: StateOK, Restarts: was.Restarts}
	has, known := spaceOf(s.e.Folder)
	if known {
		now.Free = has.free
	}
	if s.lost == nil && s.claim != nil {
		s.lost = s.place()
	}
	if s.lost != nil {
		now.State, now.Full = StateLost, s.lost
		return now
	}
	if wanted := has.full(was.State == StateFull); known && wanted != "" {
		now.State = StateFull
		now.Full = fmt.Errorf("the disk of %s is full: %s; make room there, or give the store a larger disk; "+
			"writing goes on by itself", s.e.Folder, wanted)
		return now
	}
	if failed := s.failure(); failed != nil {
		now.State = StateRestarting
		now.Full = fmt.Errorf("the store in %s takes no writes: %w; it is started again until it does: see what its disk, "+
			"its port, its file descriptors or its files lack", s.e.Folder, failed)
	}
	return now
}

// enter takes over a state, and says so if it is another one.
func (s *Server) enter(now Room) {
	was := s.Room()
	s.room.Store(&now)
	switch {
	case now.State == was.State && now.Restarts == was.Restarts:
	case now.Full != nil:
		s.e.Log.Error().Err(now.Full).Str("state", string(now.State)).Msg("nothing can be stored; callbacks are answered 503")
	default:
		s.e.Log.Info().Int64("free", now.Free).Int("restarts", now.Restarts).Msg("the store takes writes again")
	}
}
