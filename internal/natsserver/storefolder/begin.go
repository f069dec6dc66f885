package storefolder

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

	"receiver/internal/durable"
	"receiver/internal/natsserver/blockfile"
)

// Beginning is what a start has found out about a store before its server runs.
type Beginning struct {
	expected
	store    Store
	Accepted *Acceptance
	since    time.Time // the server may start
}

// Begin checks a store before a server opens it, and marks it as in use.
func Begin(e Store) (b Beginning, err error) {
	if err := CheckFormat(e.Folder); err != nil {
		return b, err
	}
	if err := checkMoved(e.Folder); err != nil {
		return b, err
	}
	if err := CheckFiles(e.Folder); err != nil {
		return b, err
	}
	lost, h, err := missing(e)
	if err != nil {
		return b, err
	}
	b.expected, b.store = h, e
	if b.Accepted, err = readAcceptance(e.Folder); err != nil {
		return b, fmt.Errorf("reading the accepted loss: %w", err)
	}
	if !b.Accepted.covers(lost) {
		return b, lostError(lost)
	}
	i, err := readIdentity(e)
	if err != nil {
		return b, err
	}
	unknown, err := i.record()
	if err != nil {
		return b, err
	}
	if unknown != nil {
		e.Log.Warn().Err(unknown).Msg("recording the identity of the store outside its folder failed; the receiver would not notice an empty folder in its place")
	}
	if err := b.dropIndexes(); err != nil {
		return b, err
	}
	if err := b.markRunning(e); err != nil {
		return b, err
	}
	err = SyncFiles(e.Folder)
	b.since = time.Now()
	return b, err
}

// missing returns what is missing in a store, and what was expected of it.
func missing(e Store) (lost []string, h expected, err error) {
	i, err := readIdentity(e)
	if err != nil {
		return nil, h, err
	}
	if h, err = readExpected(e); err != nil {
		return nil, h, fmt.Errorf("determining what the store in %s must contain: %w", e.Folder, err)
	}
	if lost, err = h.lost(); err != nil {
		return nil, h, err
	}
	if other := i.mismatch(); other != "" {
		lost = append([]string{other}, lost...)
	}
	return lost, h, nil
}

// dropIndexes removes indexes of the server that differ from those of the last clean stop. The
// server rebuilds them from the messages; an older index would make it skip some.
func (h expected) dropIndexes() error {
	if !h.clean || h.note == nil {
		return nil
	}
	for name, noted := range h.note.Streams {
		path := filepath.Join(h.msgs(name).Path, blockfile.IndexFile)
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

// markRunning marks the store as used by a running server, with what is known so far.
func (h expected) markRunning(e Store) error {
	note := storeNote{Streams: map[string]streamNote{}}
	if h.note != nil {
		note = *h.note
	}
	note.Server = newestServer(e.Folder)
	if err := note.save(e, runFile); err != nil {
		return fmt.Errorf("recording that a server runs: %w", err)
	}
	return nil
}

// Found is how a server found its streams.
type Found struct {
	// Last is the last sequence of each stream.
	Last map[string]uint64
	// Stopped is the same as the last clean stop noted it; nil if the last server did not stop
	// cleanly, or noted nothing.
	Stopped map[string]uint64
}

// found compares what the server reports with the note of a clean stop.
func (b Beginning) found(now map[string]server.StreamState) Found {
	f := Found{Last: map[string]uint64{}}
	for name, state := range now {
		f.Last[name] = state.LastSeq
	}
	if b.clean && b.note != nil {
		f.Stopped = map[string]uint64{}
		for name, noted := range b.note.Streams {
			f.Stopped[name] = noted.Last
		}
	}
	return f
}

// Opened compares what the server reports of the streams with what was known of them, and notes it
// for the next start. It finds a difference that the files did not show.
func (b Beginning) Opened(ns *server.Server) (Found, error) {
	now, err := States(ns)
	if err != nil {
		return Found{}, err
	}
	var lost []string
	for _, name := range b.streams() {
		if slices.Contains(rebuilt, name) {
			continue
		}
		if what := b.difference(name, now); what != "" {
			lost = append(lost, name+": "+what)
		}
	}
	if b.Accepted == nil && len(lost) > 0 {
		return Found{}, lostError(lost)
	}
	note, err := takeNote(b.folder, now)
	if err != nil {
		return Found{}, fmt.Errorf("recording the state of the store: %w", err)
	}
	if err := note.save(b.store, runFile); err != nil {
		return Found{}, fmt.Errorf("recording the state of the store: %w", err)
	}
	if !b.clean && b.noted == "" {
		messages := uint64(0)
		for _, state := range now {
			messages += state.Msgs
		}
		b.store.Log.Warn().Uint64("messages", messages).Dur("took_ms", time.Since(b.since)).
			Msg("the store was not closed cleanly; its messages were recovered")
	}
	return b.found(now), nil
}

// noteEvery is how often the state of the streams is noted while a server runs. If a note of
// thousands of files takes long, noting takes a fiftieth of a processor at most.
const (
	noteEvery = 10 * time.Second
	noteShare = 50
)

// KeepNotes notes the state of the streams until ctx is done, for a start after this process was
// killed. It writes each note one interval late: by then all that the note lists is on disk.
func KeepNotes(ctx context.Context, e Store, ns func() *server.Server) {
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
		if next, err := nextNote(e, ns(), due); err == nil {
			due = next
		} else {
			e.Log.Debug().Err(err).Msg("recording the state of the store failed")
		}
		timer.Reset(max(noteEvery, noteShare*time.Since(began)))
	}
}

// nextNote writes the note that is due, if any, and takes the next one.
func nextNote(e Store, ns *server.Server, due *storeNote) (*storeNote, error) {
	now, err := States(ns)
	if err != nil {
		return nil, err
	}
	next, err := takeNote(e.Folder, now)
	if err == nil {
		err = next.keepJobs(e.Folder)
	}
	if err == nil && due != nil {
		err = due.save(e, runFile)
	}
	return &next, err
}

// difference says what the server lacks of a stream.
func (b Beginning) difference(name string, now map[string]server.StreamState) string {
	var noted streamNote
	if b.note != nil {
		noted = b.note.Streams[name]
	}
	last := max(noted.Last, b.sealed[name].Size)
	state, there := now[name]
	if copied, err := b.copied(name, last); copied && err == nil {
		return ""
	}
	switch {
	case !there && last > 0:
		return "the server does not open the stream, although its files exist"
	case state.LastSeq < last:
		return fmt.Sprintf("the server has it only up to sequence %d, but it had %s", state.LastSeq, blockfile.Span{First: state.LastSeq + 1, Last: last})
	case !slices.Contains(appendOnly, name) || noted.Messages == 0:
		return ""
	}
	if gone := state.FirstSeq - min(noted.First, state.FirstSeq); state.Msgs+gone < noted.Messages {
		return fmt.Sprintf("the server's count of messages is %d from sequence %d on, but it was %d from sequence %d on",
			state.Msgs, state.FirstSeq, noted.Messages, noted.First)
	}
	return ""
}

// NoteStop notes the state of the files after a server stopped, so that the next start sees what is
// missing. If it fails, the next start knows less and takes longer.
func NoteStop(e Store, last map[string]server.StreamState) error {
	folder := e.Folder
	if err := SyncFiles(folder); err != nil {
		return err
	}
	note, err := takeNote(folder, last)
	if err != nil {
		return err
	}
	if err := note.keepJobs(folder); err != nil {
		return err
	}
	if err := note.save(e, stopFile); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(folder, runFile)); err != nil {
		return err
	}
	return durable.SyncFolder(folder)
}
