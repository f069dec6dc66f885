package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// position is how far the hub has the records of a stream. It may be behind, never ahead: records
// behind it are found at the hub again.
type position struct {
	// Sequence is the last record that the hub has acknowledged; Stored is when it was stored here.
	Sequence uint64    `json:"sequence"`
	Stored   time.Time `json:"stored"`
	// Created is when the hub's stream of that name was created.
	Created time.Time `json:"created"`
	// Hub and Attempts are sequences of the hub's stream of that name, and of its ATTEMPTS: every
	// record after Sequence is behind them there.
	Hub      uint64 `json:"hub"`
	Attempts uint64 `json:"attempts"`
	// Known and Published are the last messages that those streams are known to hold. A hub without
	// them was restored to an earlier state.
	Known     seen `json:"there"`
	Published seen `json:"told"`
}

// seen is a message of the hub; none if its sequence is 0.
type seen struct {
	Sequence uint64 `json:"sequence"`
	Record   string `json:"record"` // see identity
}

// identity returns what distinguishes a message of the hub from another one with its sequence: the
// record from which it was made, or the event's id if no edge received it.
func identity(header map[string][]string) string {
	if e, marked, err := job.ParseEdge(header); err == nil && marked {
		return e.ID()
	}
	if ids := header[job.HeaderID]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}

func seenAt(m *jetstream.RawStreamMsg) seen { return seen{m.Sequence, identity(m.Header)} }

// or returns the later one.
func (s seen) or(other seen) seen {
	if other.Sequence > s.Sequence {
		return other
	}
	return s
}

func positionFile(folder, stream string) string { return filepath.Join(folder, "edge-"+stream+".json") }

// readPosition returns the position that was written last; the zero position if there is none.
func readPosition(file string) (position, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return position{}, nil
	}
	var at position
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil {
		return position{}, fmt.Errorf("reading %s: %w", file, err)
	}
	return at, nil
}

// write replaces the file. It calls no fsync: a position that is behind does no harm.
func (p position) write(file string) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	half := file + ".new"
	if err := os.WriteFile(half, text, 0o600); err != nil {
		return err
	}
	return os.Rename(half, file)
}

func (s *streamForwarder) position() position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// acknowledged returns the last record that the hub has; 0 while it is not verified that the
// position is one of this store.
func (s *streamForwarder) acknowledged() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.checked {
		return 0
	}
	return s.at.Sequence
}

func (s *streamForwarder) set(change func(*position)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.at)
}

func (s *streamForwarder) count(change func(*counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.counts)
}

// acknowledge notes that the hub has everything up to r, and the messages there. While records may
// be at the hub that were sent before, the position from which they are searched for stays; it
// moves when all of them are found.
func (s *streamForwarder) acknowledge(r *record, known, published seen) {
	certain := !s.uncertain(r)
	s.set(func(at *position) {
		at.Sequence, at.Stored = r.raw.Sequence, r.raw.Time
		at.Known, at.Published = at.Known.or(known), at.Published.or(published)
		if certain {
			at.Hub, at.Attempts = max(at.Hub, known.Sequence), max(at.Attempts, published.Sequence)
		}
	})
	s.countDropped(r.raw.Sequence)
	if r.raw.Sequence >= s.uncertainTo {
		s.known = nil
	}
}

// uncertain reports whether the hub may have r although the position is behind it.
func (s *streamForwarder) uncertain(r *record) bool { return r.raw.Sequence <= s.uncertainTo }

// writePosition writes the position to its file. If the disk is full, the file stays behind, and
// nothing is lost.
func (s *streamForwarder) writePosition() {
	if err := s.position().write(s.file); err != nil {
		s.f.opts.Log.Debug().Err(err).Msg("writing the acknowledged position failed")
	}
}
