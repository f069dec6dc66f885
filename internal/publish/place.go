package publish

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// home is where a store's files are, each known by its device and inode. The server writes to
// what it has open wherever that has gone, and acknowledges it.
type home struct {
	folder  os.FileInfo
	streams map[string]*streamFiles
}

// streamFiles are the files of one stream.
type streamFiles struct {
	made    time.Time   // one that is made anew has another folder
	folder  os.FileInfo // nil if it was not seen yet
	changed time.Time   // of the folder of the blocks, when it was read
	newest  string      // the name of the block that is written to; empty if there is none
	held    *os.File    // that block on Linux, open: as long as it is, no other file gets its inode
	amiss   string      // what the last look found,
	twice   bool        // and the one before, too: a single one may have met a change half done
}

// place returns an error if the store is not where it was, or not ours alone.
func (s *Server) place() error {
	const help = "what it acknowledged is in the files that were there; stop the receiver, put them back, and start it again"
	streams := filepath.Join(s.e.Folder, "jetstream", ownerAccount, "streams")
	if moved(s.e.Folder, s.home.folder) {
		return fmt.Errorf("the folder of the store, %s, was removed, moved or replaced while it was in use: %s", s.e.Folder, help)
	}
	if ns := s.ns.Load(); ns.Running() && ns.JetStreamEnabled() {
		if has := streamsOf(ns); has != nil {
			s.home.know(streams, has)
		}
	}
	for name, f := range s.home.streams {
		if f.amiss != "" && f.twice {
			return fmt.Errorf("the files of stream %s in %s: %s while they were in use: %s", name, streams, f.amiss, help)
		}
	}
	return s.alone()
}

// alone returns an error if another process has taken the folder, and puts back what keeps it
// ours if somebody removed it.
func (s *Server) alone() error {
	mended, err := s.claim.lock.check()
	if err != nil {
		return fmt.Errorf("the store in %s is no longer ours alone: %w; stop both, and compare what they hold", s.e.Folder, err)
	}
	if mended {
		s.e.Log.Warn().Str("file", s.claim.lock.file.Path()).Msg("the lock file was removed by somebody; made again")
	}
	if !exists(s.claim.address) {
		_ = s.claim.announce(s.nearURL()) // that it cannot keeps other commands from finding us, until the next look
	}
	return nil
}

// moved reports whether a path does not lead any more to what was there. Of what cannot be
// looked at nothing is known.
func moved(path string, was os.FileInfo) bool {
	if was == nil {
		return false
	}
	is, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(was, is)
}

// know looks at the files of the streams that the server has.
func (h *home) know(folder string, has map[string]server.StreamDetail) {
	for name := range h.streams {
		if d, there := has[name]; !there || !d.Created.Equal(h.streams[name].made) {
			h.streams[name].release()
			delete(h.streams, name)
		}
	}
	for name, d := range has {
		if d.Config == nil || d.Config.Storage != server.FileStorage {
			continue
		}
		f := h.streams[name]
		if f == nil {
			f = &streamFiles{made: d.Created}
			if f.folder, _ = os.Stat(filepath.Join(folder, name)); f.folder == nil {
				continue
			}
			h.streams[name] = f
		}
		was := f.amiss
		f.amiss = f.look(filepath.Join(folder, name), d.State.Msgs)
		f.twice = was != "" && f.amiss != ""
	}
}

// look returns what is amiss with the folder of a stream that holds so many messages.
func (f *streamFiles) look(folder string, messages uint64) string {
	if moved(folder, f.folder) {
		return "their folder was removed, moved or replaced"
	}
	folder = filepath.Join(folder, "msgs")
	info, err := os.Stat(folder)
	if errors.Is(err, os.ErrNotExist) && messages > 0 {
		return "they were removed"
	}
	if err != nil {
		return ""
	}
	if info.ModTime().Equal(f.changed) && f.amiss == "" {
		return ""
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return ""
	}
	newest, blocks := newestBlock(entries)
	if blocks == 0 && messages > 0 {
		return "they were removed"
	}
	if f.held != nil && replaced(f.held) {
		return "the newest was removed or replaced"
	}
	f.release()
	if newest != "" {
		if f.held, err = hold(filepath.Join(folder, newest)); err != nil {
			return "" // the next look tries again
		}
	}
	f.changed, f.newest = info.ModTime(), newest
	return ""
}

func (f *streamFiles) release() {
	if f.held != nil {
		_ = f.held.Close()
		f.held = nil
	}
}

// release closes the files that are held.
func (h *home) release() {
	for _, f := range h.streams {
		f.release()
	}
}

// newestBlock returns the name of the block with the highest number, and how many blocks there are.
func newestBlock(entries []os.DirEntry) (newest string, blocks int) {
	highest := uint64(0)
	for _, e := range entries {
		var n uint64
		if _, err := fmt.Sscanf(e.Name(), "%d.blk", &n); err != nil || filepath.Ext(e.Name()) != ".blk" {
			continue
		}
		blocks++
		if n >= highest {
			highest, newest = n, e.Name()
		}
	}
	return newest, blocks
}
