package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// beginning is what a start has found out about a store before its server runs.
type beginning struct {
	holding
	accepted *acceptance
}

// begin looks at a store before a server opens it, and notes that one is about to.
func begin(e Embedded) (b beginning, err error) {
	if err := lookThrough(e.Folder); err != nil {
		return b, err
	}
	lost, h, err := missing(e)
	if err != nil {
		return b, err
	}
	b.holding = h
	if b.accepted, err = readAcceptance(e.Folder); err != nil {
		return b, fmt.Errorf("reading which loss was accepted: %w", err)
	}
	if !b.accepted.covers(lost) {
		return b, refuse(lost)
	}
	i, err := readIdentity(e)
	if err != nil {
		return b, err
	}
	unknown, err := i.settle()
	if err != nil {
		return b, err
	}
	if unknown != nil {
		e.Log.Warn().Err(unknown).Msg("the identity of the store cannot be kept outside of its folder: an empty folder in its place would not be noticed")
	}
	if err := b.dropIndexes(); err != nil {
		return b, err
	}
	if err := b.mark(); err != nil {
		return b, err
	}
	return b, syncBlocks(e.Folder)
}

// missing returns what is missing in a store, and what it was held against.
func missing(e Embedded) (lost []string, h holding, err error) {
	i, err := readIdentity(e)
	if err != nil {
		return nil, h, err
	}
	if h, err = newHolding(e); err != nil {
		return nil, h, fmt.Errorf("finding out what the store in %s must hold: %w", e.Folder, err)
	}
	if lost, err = h.lost(); err != nil {
		return nil, h, err
	}
	if other := i.foreign(); other != "" {
		lost = append([]string{other}, lost...)
	}
	return lost, h, nil
}

// dropIndexes removes indexes of the server that are not those of the clean stop. The server
// makes them anew from the messages, and is not led past some by an older one.
func (h holding) dropIndexes() error {
	if !h.clean || h.note == nil {
		return nil
	}
	for name, noted := range h.note.Streams {
		path := filepath.Join(h.msgs(name).path, indexFile)
		digest, err := digestOf(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && digest == noted.Index {
			continue
		}
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("removing the index of stream %s, which is not that of the last clean stop: %w", name, err)
		}
	}
	return nil
}

// mark notes that a server runs from now on, with what is known so far.
func (h holding) mark() error {
	note := storeNote{Streams: map[string]streamNote{}}
	if h.note != nil {
		note = *h.note
	}
	if err := note.write(filepath.Join(h.folder, runFile)); err != nil {
		return fmt.Errorf("noting that a server runs: %w", err)
	}
	return nil
}

// opened compares what the server says of the streams with what was known of them, and notes
// it for the next start. A difference here is one that the files did not show.
func (b beginning) opened(ns *server.Server) error {
	now, err := states(ns)
	if err != nil {
		return err
	}
	var lost []string
	for _, name := range b.streams() {
		if slices.Contains(derived, name) {
			continue
		}
		if what := b.differs(name, now); what != "" {
			lost = append(lost, name+": "+what)
		}
	}
	if b.accepted == nil && len(lost) > 0 {
		return refuse(lost)
	}
	note, err := takeNote(b.folder, now)
	if err != nil {
		return fmt.Errorf("noting what the store holds: %w", err)
	}
	if err := note.write(filepath.Join(b.folder, runFile)); err != nil {
		return fmt.Errorf("noting what the store holds: %w", err)
	}
	return nil
}

// noteEvery is how often what the streams hold is noted while a server runs; where a note of
// thousands of files takes its time, it takes a fiftieth of a processor at most.
const (
	noteEvery = 10 * time.Second
	noteShare = 50
)

// keepNote notes what the streams hold until ctx is done, for a start after this process was
// killed. Each note is of the time of the one before: what it tells of is on disk by then.
func (s *Server) keepNote(ctx context.Context) {
	timer := time.NewTimer(noteEvery)
	defer timer.Stop()
	var due *storeNote
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		if next, err := s.nextNote(due); err == nil {
			due = next
		} else {
			s.e.Log.Debug().Err(err).Msg("what the store holds cannot be noted")
		}
		timer.Reset(max(noteEvery, noteShare*time.Since(began)))
	}
}

// nextNote writes the note that is due, if any, and takes the next one.
func (s *Server) nextNote(due *storeNote) (*storeNote, error) {
	now, err := states(s.ns.Load())
	if err != nil {
		return nil, err
	}
	next, err := takeNote(s.e.Folder, now)
	if err == nil {
		err = next.keepJobs(s.e.Folder)
	}
	if err == nil && due != nil {
		err = due.write(filepath.Join(s.e.Folder, runFile))
	}
	return &next, err
}

// differs says what the server misses of a stream.
func (b beginning) differs(name string, now map[string]server.StreamState) string {
	var noted streamNote
	if b.note != nil {
		noted = b.note.Streams[name]
	}
	last := max(noted.Last, b.sealed[name])
	state, there := now[name]
	if copied, err := b.copied(name, last); copied && err == nil {
		return ""
	}
	switch {
	case !there && last > 0:
		return "the server does not open the stream, whose files are there"
	case state.LastSeq < last:
		return fmt.Sprintf("the server has it up to sequence %d only, and %s were there", state.LastSeq, span{state.LastSeq + 1, last})
	case !slices.Contains(appended, name) || noted.Messages == 0:
		return ""
	}
	if gone := state.FirstSeq - min(noted.First, state.FirstSeq); state.Msgs+gone < noted.Messages {
		return fmt.Sprintf("the server has %d messages from sequence %d on, and %d from sequence %d on were there",
			state.Msgs, state.FirstSeq, noted.Messages, noted.First)
	}
	return ""
}

// noteStop notes what the files are like that a server left, so that the next start sees what
// is missing then. That it cannot has the next start know less, and costs it time.
func noteStop(folder string, last map[string]server.StreamState) error {
	if err := syncBlocks(folder); err != nil {
		return err
	}
	note, err := takeNote(folder, last)
	if err != nil {
		return err
	}
	if err := note.keepJobs(folder); err != nil {
		return err
	}
	if err := note.write(filepath.Join(folder, stopFile)); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(folder, runFile)); err != nil {
		return err
	}
	return syncFolder(folder)
}
