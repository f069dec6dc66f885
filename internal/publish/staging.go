package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Where batches are staged. Until it commits an atomic batch (NATS ADR-50), nats-server keeps
// it in a store of its own, in the folder batches of the stream: it makes that for every
// batch, brings it to disk, and removes it. That is most of what a batch costs, and serves
// one thing only, that a batch which the process died in is completed at the next start.
//
// No caller of ours has been answered then, and each event of a batch stands for itself: what
// is not stored is called again. So the folder may be in memory. What a killed process leaves
// there is completed as ever, and what the loss of power takes was promised to nobody; the
// stream itself is brought to disk before the acknowledgement, wherever a batch is staged.
const batchesFolder = "batches"

// stagedStreams are those that batches are written to.
var stagedStreams = []string{JobsStream, AttemptsStream}

// staging is a folder in memory that the folders of batches of a store lead to.
type staging struct {
	memory  string // empty if there is none
	streams string // the folder of the streams
}

// StagesInMemory reports whether a server on a folder with SyncAlways would stage batches in
// memory, where there is room for one.
func StagesInMemory(folder string) bool {
	memory := memoryFor(folder)
	if memory == "" {
		return false
	}
	s, known := spaceOf(filepath.Dir(memory))
	return known && s.free > maxBatchBytes
}

// newStaging looks for a place in memory, and takes away links to that of another store,
// which a copy of its folder has. It is called before the server starts.
func newStaging(folder string) (staging, error) {
	st := staging{streams: filepath.Join(folder, "jetstream", ownerAccount, "streams"), memory: memoryFor(folder)}
	for _, stream := range stagedStreams {
		if to, err := os.Readlink(st.link(stream)); err == nil && to != st.memory {
			if err := os.Remove(st.link(stream)); err != nil {
				return st, fmt.Errorf("removing the link to another store's batches: %w", err)
			}
		}
	}
	return st, nil
}

func (st staging) link(stream string) string { return filepath.Join(st.streams, stream, batchesFolder) }

// lead has batches staged in memory from now on; nil if they are. It is called when the
// server has started, which removes the links, when it has made a stream, and now and then,
// since others clear folders in memory.
func (st staging) lead() error {
	if st.memory == "" {
		return errors.ErrUnsupported
	}
	if err := own(st.memory); err != nil {
		st.unlink()
		return err
	}
	for _, stream := range stagedStreams {
		if to, err := os.Readlink(st.link(stream)); err == nil && to == st.memory {
			continue
		}
		_ = os.Remove(st.link(stream)) // an empty folder goes; one that is in use stays, and is used
		err := os.Symlink(st.memory, st.link(stream))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the stream is not there yet
			return fmt.Errorf("leading the batches of stream %s into memory: %w", stream, err)
		}
	}
	return nil
}

// unlink has batches staged on disk again.
func (st staging) unlink() {
	for _, stream := range stagedStreams {
		if _, err := os.Readlink(st.link(stream)); err == nil {
			_ = os.Remove(st.link(stream)) // or the next start of the server does
		}
	}
}

// remove leaves nothing of it. The server has stopped, or has just started and completed what
// was left there.
func (st staging) remove() {
	st.unlink()
	if st.memory != "" && own(st.memory) == nil {
		_ = os.RemoveAll(st.memory) // or the next start uses it
	}
}

// stage has batches staged in memory, if they are not, and notes whether they are.
func (s *Server) stage() {
	if s.claim == nil || !s.e.SyncAlways {
		return // a batch costs no more than that on disk, then
	}
	s.staging.Lock()
	defer s.staging.Unlock()
	err := s.batches.lead()
	if was := s.quick.Swap(err == nil); was && err != nil {
		s.e.Log.Warn().Err(err).Msg("batches of callbacks are staged on disk from now on, which is slower")
	}
}
