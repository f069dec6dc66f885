package natsserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish/conn"
)

// Where batches are staged. Until it commits an atomic batch (NATS ADR-50), nats-server keeps it in
// a store of its own, in the folder batches of the stream: it creates that store for every batch,
// writes it to disk, and removes it. That is most of the cost of a batch, and serves one purpose: a
// batch that the process died in is completed at the next start.
//
// No sender has an answer at that time, and each event of a batch is independent of the others: the
// platform sends again what is not stored. So the folder may be in memory. A batch that a killed
// process leaves there is completed as on disk, and no sender has an acknowledgement for a batch
// that a loss of power removes. The stream itself is on disk before the acknowledgement, wherever a
// batch is staged.

// stagedStreams are the streams to which batches are written.
var stagedStreams = []string{conn.JobsStream, conn.AttemptsStream}

// staging is a folder in memory to which the batches folders of a store are linked.
type staging struct {
	memory  string // empty if there is none
	streams string // the folder of the streams
}

// StagesInMemory reports whether a server on a folder with SyncAlways would stage batches in
// memory, with enough space for one.
func StagesInMemory(folder string) bool {
	memory := memoryFor(folder)
	if memory == "" {
		return false
	}
	s, known := diskSpaceOf(filepath.Dir(memory))
	return known && s.free > conn.MaxBatchBytes
}

// newStaging returns the folder in memory, and removes links to that of another store, which a
// copied store folder has. It is called before the server starts.
func newStaging(folder string) (staging, error) {
	st := staging{streams: filepath.Join(folder, "jetstream", storefolder.OwnerAccount, "streams"), memory: memoryFor(folder)}
	for _, stream := range stagedStreams {
		if to, err := os.Readlink(st.link(stream)); err == nil && to != st.memory {
			if err := os.Remove(st.link(stream)); err != nil {
				return st, fmt.Errorf("removing the link to another store's batches: %w", err)
			}
		}
	}
	return st, nil
}

func (st staging) link(stream string) string {
	return filepath.Join(st.streams, stream, storefolder.BatchesFolder)
}

// redirect makes the server stage batches in memory; nil if it does. It is called when the server
// has started, which removes the links, when it has created a stream, and periodically, since other
// programs clear folders in memory.
func (st staging) redirect() error {
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
			return fmt.Errorf("redirecting the batches of stream %s into memory: %w", stream, err)
		}
	}
	return nil
}

// unlink makes the server stage batches on disk again.
func (st staging) unlink() {
	for _, stream := range stagedStreams {
		if _, err := os.Readlink(st.link(stream)); err == nil {
			_ = os.Remove(st.link(stream)) // or the next start of the server does
		}
	}
}

// remove removes the links and the folder. The server has stopped, or has just started and
// completed what was left there.
func (st staging) remove() {
	st.unlink()
	if st.memory != "" && own(st.memory) == nil {
		_ = os.RemoveAll(st.memory) // or the next start uses it
	}
}

// BatchesInMemory reports whether batches are staged in memory.
func (s *Server) BatchesInMemory() bool { return s.inMemory.Load() }

// StageBatches makes the server stage batches in memory, if it does not. It is called when streams
// were created.
func (s *Server) StageBatches() {
	if s.lock == nil || !s.e.SyncAlways {
		return // a batch costs no more than that on disk, then
	}
	s.staging.Lock()
	defer s.staging.Unlock()
	err := s.batches.redirect()
	if was := s.inMemory.Swap(err == nil); was && err != nil {
		s.e.Log.Warn().Err(err).Msg("the receiver now stages batches on disk, which is slower than in memory")
	}
}
