package storefolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"receiver/internal/natsserver/blockfile"
	"receiver/internal/publish/conn"
)

// Store is the folder of a server's streams.
type Store struct {
	Folder string
	// IdentityFile is a file outside of the folder that remembers which store it is, so that an
	// empty folder is not taken for a new store; empty for none.
	IdentityFile string
	// Sealed is what the checkpoints know of the streams.
	Sealed Sealed
	// Log receives problems that do not keep the server from starting.
	Log zerolog.Logger
}

// OwnerAccount is the account that has the streams.
const OwnerAccount = "RECEIVER"

// ErrLost is returned by Start for a store in which something is missing according to the note of
// the last clean stop, to the note of the server that ran last, or to a checkpoint. Start has
// changed nothing then. Mend continues without it if an operator accepts that.
var ErrLost = conn.ErrLost

// Known is how many sequences of a stream a signed checkpoint covers, and the place it is kept in.
type Known struct {
	Size  uint64
	Where string
}

// Sealed is what checkpoints know of the streams. Both may be nil.
type Sealed struct {
	// Kept returns the largest checkpoint of each stream that is kept outside of the store.
	Kept func() (map[string]Known, error)
	// Read returns the same of one checkpoint, by its bytes; false if this program did not write
	// it.
	Read func(checkpoint []byte) (stream string, size uint64, ok bool)
}

// appendOnly are the streams from which messages are removed at the front only.
var appendOnly = []string{conn.JobsStream, conn.AttemptsStream, conn.ActionsStream, conn.CheckpointsStream}

// unread are the streams whose files only the server reads, and rebuilt are those that may be
// removed at any time: they are rebuilt.
var (
	unread  = []string{"KV_" + conn.LeasesBucket, "OBJ_" + conn.LedgerBucket}
	rebuilt = append(slices.Clone(unread), objectsOfTiles)
)

// expected is what a store should hold at a start.
type expected struct {
	folder string
	// clean is true if the last server stopped and noted everything, so that every file must match
	// the note.
	clean  bool
	note   *storeNote
	noted  string // the place of the note, if that is not the folder
	sealed map[string]Known
	kept   string // where checkpoints are kept outside, so that the store must hold others; or empty
}

// readExpected reads what a store should hold from its note and from checkpoints.
func readExpected(e Store) (h expected, err error) {
	h = expected{folder: e.Folder, clean: true, sealed: map[string]Known{}}
	run := filepath.Join(e.Folder, runFile)
	if _, err := os.Stat(run); err == nil {
		h.clean = false
	}
	for _, path := range []string{run, filepath.Join(e.Folder, stopFile)} {
		if h.note == nil && (!h.clean || path != run) {
			if h.note, err = readNote(path); err != nil {
				return h, err
			}
		}
	}
	if h.note == nil {
		h.note = e.noteOutside()
		if h.note != nil {
			h.clean, h.noted = false, e.IdentityFile
		}
	}
	if e.Sealed.Kept != nil {
		if h.sealed, err = e.Sealed.Kept(); err != nil {
			return h, err
		}
	}
	for _, known := range h.sealed {
		h.kept = known.Where
	}
	return h, h.readCheckpoints(e.Sealed)
}

// readCheckpoints adds what the newest checkpoints in the store cover.
func (h *expected) readCheckpoints(s Sealed) error {
	if s.Read == nil {
		return nil
	}
	msgs := h.msgs(conn.CheckpointsStream)
	indexes, err := msgs.Indexes()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	newest := map[string][]byte{} // by subject: to verify each would take its time
	for _, index := range indexes[max(0, len(indexes)-2):] {
		if err := msgs.Newest(index, newest); err != nil {
			return err
		}
	}
	for _, checkpoint := range newest {
		if stream, size, ok := s.Read(checkpoint); ok {
			if size > h.sealed[stream].Size {
				h.sealed[stream] = Known{size, "the stream " + conn.CheckpointsStream}
			}
		}
	}
	return nil
}

func (h expected) path(stream string) string { return filepath.Join(streamsFolder(h.folder), stream) }

func (h expected) msgs(stream string) blockfile.Folder { return Messages(h.folder, stream) }

// lost returns what is missing, one line for each thing.
func (h expected) lost() (lines []string, err error) {
	for _, stream := range h.streams() {
		look := h.lostOf
		if slices.Contains(rebuilt, stream) {
			look = h.unusable
		}
		found, err := look(stream)
		if err != nil {
			return nil, fmt.Errorf("checking stream %s for losses: %w", stream, err)
		}
		for _, what := range found {
			lines = append(lines, stream+": "+what)
		}
	}
	return lines, nil
}

// streams are the streams of which anything is known.
func (h expected) streams() (names []string) {
	if h.note != nil {
		names = h.note.names()
	}
	for stream := range h.sealed {
		names = append(names, stream)
	}
	if h.kept != "" {
		names = append(names, conn.CheckpointsStream)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (h expected) lostOf(stream string) ([]string, error) {
	var noted streamNote
	if h.note != nil {
		noted = h.note.Streams[stream]
	}
	last := max(noted.Last, h.sealed[stream].Size)
	if there, err := h.copied(stream, last); there || err != nil {
		return nil, err
	}
	if _, err := os.Stat(h.path(stream)); errors.Is(err, fs.ErrNotExist) {
		if last == 0 && h.kept != "" && stream == conn.CheckpointsStream {
			return []string{"the folder of the stream is missing, but checkpoints are kept in " + h.kept}, nil
		}
		if last == 0 {
			return nil, nil
		}
		return []string{fmt.Sprintf("the folder of the stream is missing, with %s", blockfile.Span{First: max(noted.First, 1), Last: last})}, nil
	} else if err != nil {
		return nil, err
	}
	found, err := h.lostMeta(stream, noted)
	if err != nil {
		return nil, err
	}
	if h.clean && len(noted.Files) > 0 {
		files, err := h.lostFiles(stream, noted)
		if err != nil || len(files) > 0 {
			return append(found, files...), err
		}
		if noted.Last < h.sealed[stream].Size {
			found = append(found, h.lostTail(stream, noted.Last))
		}
		return found, nil
	}
	more, err := h.lostSequences(stream, noted)
	return append(found, more...), err
}

// copied reports whether a stream is being replaced, and the other of the two is complete: only
// then Survey.Copy removes one. A stream that a clean stop noted must be there all the same.
func (h expected) copied(stream string, last uint64) (bool, error) {
	other, is := strings.CutSuffix(stream, conn.CopySuffix)
	if !is {
		other = stream + conn.CopySuffix
	}
	if last == 0 || h.clean && h.note != nil && h.note.Streams[stream].Last >= last {
		return false, nil
	}
	if sound, err := soundMeta(h.path(other)); !sound || err != nil {
		return false, err
	}
	now, err := h.msgs(other).Walk(true)
	return now.Last >= last, err
}

// lostTail names the missing end of a stream, and the source that knows of it.
func (h expected) lostTail(stream string, have uint64) string {
	by, want := "the last clean stop", uint64(0)
	if h.note != nil {
		want = h.note.Streams[stream].Last
	}
	switch {
	case h.noted != "":
		by = "the note in " + h.noted
	case !h.clean:
		by = "the server that ran last"
	}
	if sealed := h.sealed[stream]; sealed.Size > want {
		by, want = "a signed checkpoint in "+sealed.Where+", which must be of this store,", sealed.Size
	}
	return fmt.Sprintf("it ends at sequence %d, but according to %s it had %s", have, by, blockfile.Span{First: have + 1, Last: want})
}

// lostMeta finds a configuration that is missing or damaged: the server skips the stream then, and
// it would be created empty.
func (h expected) lostMeta(stream string, noted streamNote) ([]string, error) {
	sound, err := soundMeta(h.path(stream))
	if err != nil {
		return nil, err
	}
	if !sound {
		return []string{damagedMeta}, nil
	}
	digest, err := metaDigest(h.path(stream))
	if err == nil && h.clean && noted.Meta != "" && digest != noted.Meta {
		return []string{server.JetStreamMetaFile + ", the configuration of the stream, was changed since the last clean stop"}, nil
	}
	return nil, err
}

// unusable finds a damaged configuration of a stream that is rebuilt: the server does not start
// over it. A stream without one is created again.
func (h expected) unusable(stream string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(h.path(stream), server.JetStreamMetaFile)); err != nil {
		return nil, nil //nolint:nilerr // there is none to be read
	}
	sound, err := soundMeta(h.path(stream))
	if sound || err != nil {
		return nil, err
	}
	return []string{damagedMeta}, nil
}

// damagedMeta is the loss of a stream's configuration.
const damagedMeta = "the configuration of the stream, " + server.JetStreamMetaFile + " and " + server.JetStreamMetaFileSum + ", is missing or damaged"

// lostFiles compares the files with the note of a clean stop. The server cuts off bytes behind the
// noted end.
func (h expected) lostFiles(stream string, noted streamNote) (found []string, err error) {
	msgs, ends := h.msgs(stream), noted.ends()
	for i, f := range noted.Files {
		info, err := os.Stat(msgs.File(f.Index))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil {
			if f.Size > 0 {
				found = append(found, fmt.Sprintf("%s is missing%s", f.name(), holds(f, ends[i])))
			}
			continue
		}
		if info.Size() >= f.Size {
			digest, err := endsOf(msgs.File(f.Index), f.Size)
			if err != nil {
				return nil, err
			}
			if digest == f.Ends {
				continue
			}
		}
		what, err := changed(msgs, f, ends[i])
		if err != nil {
			return nil, err
		}
		found = append(found, fmt.Sprintf("%s%s: its size was %d and is %d%s", f.name(), notAsLeft, f.Size, info.Size(), what))
	}
	return found, nil
}

// notAsLeft is the text for a file that differs from the note of a clean stop.
const notAsLeft = " differs from its state at the last clean stop"

// holds names the sequences of a file.
func holds(f fileNote, last uint64) string {
	if f.First == 0 || last < f.First {
		return ""
	}
	return fmt.Sprintf(", with %s", blockfile.Span{First: f.First, Last: last})
}

// changed names the noted sequences of a file that are no longer in it.
func changed(msgs blockfile.Folder, f fileNote, last uint64) (string, error) {
	if f.First == 0 || last < f.First {
		return "", nil
	}
	now, err := msgs.WalkFile(f.Index)
	if err != nil {
		return "", err
	}
	next, gone := f.First, []string{}
	for _, s := range append(now.Spans, blockfile.Span{First: last + 1, Last: last + 1}) {
		if s.First > next {
			gone = append(gone, blockfile.Span{First: next, Last: min(s.First, last+1) - 1}.String())
		}
		next = max(next, s.Last+1)
	}
	if len(gone) == 0 || now.Compressed {
		return "", nil
	}
	return ", without " + strings.Join(gone[:min(len(gone), maxNamed)], ", "), nil
}
