package natsserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"receiver/internal/natsserver/storefolder"
)

// location is where a store's files are, each known by its device and inode. The server writes to
// the files that it has open wherever they were moved, and acknowledges that.
type location struct {
	folder  os.FileInfo
	streams map[string]*streamFiles
}

// streamFiles are the files of one stream.
type streamFiles struct {
	created   time.Time   // a stream that is created again has another folder
	folder    os.FileInfo // nil if it was not seen yet
	changed   time.Time   // of the folder of the blocks, when it was read
	newest    string      // the name of the block that is written to; empty if there is none
	held      *os.File    // that block on Linux, open: as long as it is, no other file gets its inode
	fault     string      // what the last check found
	confirmed bool        // and the one before, too: a single one may have met a change half done
}

// checkLocation returns an error if the store is not where it was, or another process uses it too.
func (s *Server) checkLocation() error {
	const help = "the acknowledged messages are in the original files; stop the receiver, put them back, and start it again"
	streams := filepath.Join(s.e.Folder, "jetstream", storefolder.OwnerAccount, "streams")
	if moved(s.e.Folder, s.location.folder) {
		return fmt.Errorf("the folder of the store, %s, was removed, moved or replaced while it was in use: %s", s.e.Folder, help)
	}
	if ns := s.ns.Load(); ns.Running() && ns.JetStreamEnabled() {
		if has := storefolder.StreamsOf(ns); has != nil {
			s.location.update(streams, has)
		}
	}
	for name, f := range s.location.streams {
		if f.fault != "" && f.confirmed {
			return fmt.Errorf("the files of stream %s in %s: %s while they were in use: %s", name, streams, f.fault, help)
		}
	}
	return s.checkLock()
}

// checkLock returns an error if another process has taken the folder, and restores the lock file
// and the address if they were removed.
func (s *Server) checkLock() error {
	mended, err := s.lock.Check()
	if err != nil {
		return fmt.Errorf("another process uses the store in %s too: %w; stop both, and compare their stores", s.e.Folder, err)
	}
	if mended != "" {
		s.e.Log.Warn().Str("file", mended).Msg("the lock file was removed; the receiver made it again")
	}
	if !s.lock.Announced() {
		_ = s.lock.Announce(s.localURL()) // if it fails, other commands do not find this server until the next check
	}
	return nil
}

// moved reports whether a path leads to another file than before, or to none. If the path cannot be
// read, it reports false.
func moved(path string, was os.FileInfo) bool {
	if was == nil {
		return false
	}
	is, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(was, is)
}

// update checks the files of the streams that the server has.
func (h *location) update(folder string, has map[string]server.StreamDetail) {
	for name := range h.streams {
		if d, there := has[name]; !there || !d.Created.Equal(h.streams[name].created) {
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
			f = &streamFiles{created: d.Created}
			if f.folder, _ = os.Stat(filepath.Join(folder, name)); f.folder == nil {
				continue
			}
			h.streams[name] = f
		}
		was := f.fault
		f.fault = f.check(filepath.Join(folder, name), d.State.Msgs)
		f.confirmed = was != "" && f.fault != ""
	}
}

// check returns what is wrong with the folder of a stream that holds so many messages.
func (f *streamFiles) check(folder string, messages uint64) string {
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
	if info.ModTime().Equal(f.changed) && f.fault == "" {
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
			return "" // the next check tries again
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

// clear removes what the server made in the place of folders that were moved away, so that they can
// be put back: the folders of a consumer, with all above them, and its state.
func (h *location) clear(store string) {
	clearPlace(store, h.folder)
	for name, f := range h.streams {
		clearPlace(filepath.Join(store, "jetstream", storefolder.OwnerAccount, "streams", name), f.folder)
	}
}

// clearPlace removes the folder at a path if it is another one than before and holds consumers
// only. Anything else there may be the operator's or another process's, as an empty folder and a
// link are.
func clearPlace(path string, was os.FileInfo) {
	if moved(path, was) && holdsConsumersOnly(path) {
		_ = os.RemoveAll(path) // the one who puts the files back sees what is left
	}
}

func holdsConsumersOnly(folder string) bool {
	consumers := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if filepath.Base(filepath.Dir(filepath.Dir(path))) != "obs" {
			return errors.New("there is something else")
		}
		consumers++
		return nil
	})
	return err == nil && consumers > 0
}

// release closes the files that are held.
func (h *location) release() {
	for _, f := range h.streams {
		f.release()
	}
}

// newestBlock returns the name of the block with the highest number, and the number of blocks.
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
