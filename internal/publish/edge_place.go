package publish

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

// reached is up to where the hub has the records of a stream. It is only ever behind: what is
// written too late, or lost, is found at the hub again.
type reached struct {
	// Sequence is the last record here that is settled at the hub; Stored is when it was
	// stored here.
	Sequence uint64    `json:"sequence"`
	Stored   time.Time `json:"stored"`
	// Created is when the hub's stream of that name was made.
	Created time.Time `json:"created"`
	// Hub and Attempts are sequences of the hub's stream of that name, and of its ATTEMPTS,
	// before which nothing stands that came after Sequence.
	Hub      uint64 `json:"hub"`
	Attempts uint64 `json:"attempts"`
	// There and Told are the last messages of those streams that are known to stand there. A
	// hub that does not have them was put back to an earlier state.
	There seen `json:"there"`
	Told  seen `json:"told"`
}

// seen is a message of the hub; none if its sequence is 0.
type seen struct {
	Sequence uint64 `json:"sequence"`
	Record   string `json:"record"` // see identity
}

// identity returns what tells a message of the hub from another one of its sequence: the
// record that it was made of, or the event's id if no edge received it.
func identity(header map[string][]string) string {
	if e, marked, err := job.ParseEdge(header); err == nil && marked {
		return e.ID()
	}
	if ids := header["ce-id"]; len(ids) > 0 {
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

func reachedFile(folder, stream string) string { return filepath.Join(folder, "edge-"+stream+".json") }

// readReached returns the place that was written last, the first one if there is none.
func readReached(file string) (reached, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return reached{}, nil
	}
	var at reached
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil {
		return reached{}, fmt.Errorf("reading %s: %w", file, err)
	}
	return at, nil
}

// write replaces the file. It is not synced: see reached.
func (p reached) write(file string) error {
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

func (l *lane) reached() reached {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// sure returns the last record that the hub has; 0 if it is not known whether the place is
// one in this store.
func (l *lane) sure() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.checked {
		return 0
	}
	return l.at.Sequence
}

func (l *lane) set(change func(*reached)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.at)
}

func (l *lane) count(change func(*counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.counts)
}

// settled notes that the hub has everything up to r, and what stands there of it. While
// something may be at the hub that was sent before, it is looked for from where it was; that
// place is only moved when all of it is found.
func (l *lane) settled(r *record, there, told seen) {
	sure := !l.unsure(r)
	l.set(func(at *reached) {
		at.Sequence, at.Stored = r.raw.Sequence, r.raw.Time
		at.There, at.Told = at.There.or(there), at.Told.or(told)
		if sure {
			at.Hub, at.Attempts = max(at.Hub, there.Sequence), max(at.Attempts, told.Sequence)
		}
	})
	l.miss(r.raw.Sequence)
	if r.raw.Sequence >= l.unsureTo {
		l.there = nil
	}
}

// unsure reports whether the hub may have r although the place does not tell of it.
func (l *lane) unsure(r *record) bool { return r.raw.Sequence <= l.unsureTo }

// remember writes the place down. On a full disk it stays behind, and nothing is lost.
func (l *lane) remember() {
	if err := l.reached().write(l.file); err != nil {
		l.f.opts.Log.Debug().Err(err).Msg("the place up to which the hub has everything is not written down")
	}
}
