package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrLost is returned by Start for a store in which something is missing that was there: by
// what the last clean stop noted, or what a running server did, or by a checkpoint. Nothing
// was changed then. Mend takes an operator's word for going on without it.
var ErrLost = errors.New("the store has lost what it held")

// Sealed is what checkpoints know of the streams. Both may be nil.
type Sealed struct {
	// Kept returns how many sequences of each stream the checkpoints kept outside the
	// store cover.
	Kept func() (map[string]uint64, error)
	// Read returns the same of one checkpoint, by its bytes; false if it is none of ours.
	Read func(checkpoint []byte) (stream string, size uint64, ok bool)
	// File is where they are kept outside, for the error.
	File string
}

// appended are the streams that messages are removed from at the front only.
var appended = []string{JobsStream, AttemptsStream, ActionsStream, CheckpointsStream}

// derived are the streams that can be removed at any moment: they are made again.
var derived = []string{"KV_" + LeasesBucket, "OBJ_" + LedgerBucket}

// holding is what a store is held against at a start.
type holding struct {
	folder string
	// clean is true if the last server stopped and noted everything, so that not one file
	// may differ from the note.
	clean  bool
	note   *storeNote
	sealed map[string]uint64
	file   string // of checkpoints
	kept   bool   // there are some in it, so that there are others in the store
}

// newHolding reads what is known of a store from its note and from checkpoints.
func newHolding(e Embedded) (h holding, err error) {
	h = holding{folder: e.Folder, clean: true, sealed: map[string]uint64{}, file: e.Sealed.File}
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
	if e.Sealed.Kept != nil {
		if h.sealed, err = e.Sealed.Kept(); err != nil {
			return h, err
		}
	}
	h.kept = len(h.sealed) > 0
	return h, h.readCheckpoints(e.Sealed)
}

// readCheckpoints adds what the newest checkpoints in the store say.
func (h *holding) readCheckpoints(s Sealed) error {
	if s.Read == nil {
		return nil
	}
	msgs := h.msgs(CheckpointsStream)
	indexes, err := blockFiles(msgs.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	newest := map[string][]byte{} // by subject: to verify each would take its time
	for _, index := range indexes[max(0, len(indexes)-2):] {
		if err := msgs.newest(index, newest); err != nil {
			return err
		}
	}
	for _, checkpoint := range newest {
		if stream, size, ok := s.Read(checkpoint); ok {
			h.sealed[stream] = max(h.sealed[stream], size)
		}
	}
	return nil
}

// newest gives the last sound message of each subject in a file.
func (f blockFolder) newest(index uint32, of map[string][]byte) error {
	data, err := os.ReadFile(f.name(index))
	if err != nil {
		return err
	}
	b, err := newBlock(nil, f.stream, index)
	if err != nil {
		return err
	}
	text := string(data)
	for r, ok := parseRecord(data); ok; r, ok = parseRecord(data) {
		m, sound, readable := b.message(r, text)
		if sound && readable && r.seq&sequenceFlags == 0 {
			of[m.Subject] = m.Data
		}
		data, text = data[r.length:], text[r.length:]
	}
	return nil
}

func (h holding) path(stream string) string { return filepath.Join(streamsFolder(h.folder), stream) }

func (h holding) msgs(stream string) blockFolder {
	return blockFolder{filepath.Join(h.path(stream), "msgs"), stream}
}

// lost returns what is missing, one line for each thing.
func (h holding) lost() (lines []string, err error) {
	for _, stream := range h.streams() {
		if slices.Contains(derived, stream) {
			continue
		}
		found, err := h.lostOf(stream)
		if err != nil {
			return nil, fmt.Errorf("looking for what stream %s has lost: %w", stream, err)
		}
		for _, what := range found {
			lines = append(lines, stream+": "+what)
		}
	}
	return lines, nil
}

// streams are those that anything is known of.
func (h holding) streams() (names []string) {
	if h.note != nil {
		names = h.note.names()
	}
	for stream := range h.sealed {
		names = append(names, stream)
	}
	if h.kept {
		names = append(names, CheckpointsStream, objectsOfTiles)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (h holding) lostOf(stream string) ([]string, error) {
	var noted streamNote
	if h.note != nil {
		noted = h.note.Streams[stream]
	}
	last := max(noted.Last, h.sealed[stream])
	if there, err := h.copied(stream, last); there || err != nil {
		return nil, err
	}
	if _, err := os.Stat(h.path(stream)); errors.Is(err, fs.ErrNotExist) {
		if last == 0 && h.kept && (stream == CheckpointsStream || stream == objectsOfTiles) {
			return []string{"the folder of the stream is gone, though checkpoints are kept in " + h.file}, nil
		}
		if last == 0 {
			return nil, nil
		}
		return []string{fmt.Sprintf("the folder of the stream is gone, with %s", span{max(noted.First, 1), last})}, nil
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
		if noted.Last < h.sealed[stream] {
			found = append(found, h.lostTail(stream, noted.Last))
		}
		return found, nil
	}
	more, err := h.lostSequences(stream, noted)
	return append(found, more...), err
}

// copied reports whether a stream is being replaced, and the other of the two has all of it:
// Survey.Copy removes one only then. What a clean stop noted is there all the same.
func (h holding) copied(stream string, last uint64) (bool, error) {
	other, is := strings.CutSuffix(stream, copySuffix)
	if !is {
		other = stream + copySuffix
	}
	if last == 0 || h.clean && h.note != nil && h.note.Streams[stream].Last >= last {
		return false, nil
	}
	if sound, err := soundMeta(h.path(other)); !sound || err != nil {
		return false, err
	}
	now, err := h.msgs(other).walk(true)
	return now.last >= last, err
}

// lostTail names the end that is missing, and by what it is known.
func (h holding) lostTail(stream string, have uint64) string {
	by, want := "the last clean stop", uint64(0)
	if h.note != nil {
		want = h.note.Streams[stream].Last
	}
	if !h.clean {
		by = "the server that ran last"
	}
	if sealed := h.sealed[stream]; sealed > want {
		by, want = "a signed checkpoint (in "+CheckpointsStream+", or in "+h.file+", which must be of this store)", sealed
	}
	return fmt.Sprintf("it ends at sequence %d, and by %s it had %s", have, by, span{have + 1, want})
}

// lostMeta finds a configuration that is gone or damaged: the server leaves the stream out
// then, and it would be begun anew.
func (h holding) lostMeta(stream string, noted streamNote) ([]string, error) {
	sound, err := soundMeta(h.path(stream))
	if err != nil {
		return nil, err
	}
	if !sound {
		return []string{"the configuration of the stream, " + server.JetStreamMetaFile + " and " + server.JetStreamMetaFileSum + ", is gone or damaged"}, nil
	}
	digest, err := metaDigest(h.path(stream))
	if err == nil && h.clean && noted.Meta != "" && digest != noted.Meta {
		return []string{server.JetStreamMetaFile + ", the configuration of the stream, was changed since the last clean stop"}, nil
	}
	return nil, err
}

// lostFiles compares the files with those that a clean stop left. Bytes behind the noted end
// are for the server to cut off.
func (h holding) lostFiles(stream string, noted streamNote) (found []string, err error) {
	msgs, ends := h.msgs(stream), noted.ends()
	for i, f := range noted.Files {
		info, err := os.Stat(msgs.name(f.Index))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil {
			if f.Size > 0 {
				found = append(found, fmt.Sprintf("%s is gone%s", f.name(), holds(f, ends[i])))
			}
			continue
		}
		if info.Size() >= f.Size {
			digest, err := endsOf(msgs.name(f.Index), f.Size)
			if err != nil {
				return nil, err
			}
			if digest == f.Ends {
				continue
			}
		}
		what, err := changed(msgs.name(f.Index), f, ends[i])
		if err != nil {
			return nil, err
		}
		found = append(found, fmt.Sprintf("%s%s: it had %d bytes and has %d%s", f.name(), notAsLeft, f.Size, info.Size(), what))
	}
	return found, nil
}

// notAsLeft is said of a file that differs from what a clean stop noted.
const notAsLeft = " is not as the last clean stop left it"

// holds names the sequences of a file.
func holds(f fileNote, last uint64) string {
	if f.First == 0 || last < f.First {
		return ""
	}
	return fmt.Sprintf(", with %s", span{f.First, last})
}

// changed names what of a noted file's sequences is not in it any more.
func changed(path string, f fileNote, last uint64) (string, error) {
	if f.First == 0 || last < f.First {
		return "", nil
	}
	now, err := walkFile(path)
	if err != nil {
		return "", err
	}
	next, gone := f.First, []string{}
	for _, s := range append(now.spans, span{last + 1, last + 1}) {
		if s.first > next {
			gone = append(gone, span{next, min(s.first, last+1) - 1}.String())
		}
		next = max(next, s.last+1)
	}
	if len(gone) == 0 || now.opaque {
		return "", nil
	}
	return ", without " + strings.Join(gone[:min(len(gone), mostNamed)], ", "), nil
}

// lostSequences finds what a running server, or one that was killed, cannot have removed: the
// end of any stream, and of those that are only appended to the middle, and the beginning
// where no limit explains it.
func (h holding) lostSequences(stream string, noted streamNote) (found []string, err error) {
	want := max(noted.Last, h.sealed[stream])
	if want == 0 {
		return nil, nil
	}
	now, err := h.msgs(stream).walk(h.note == nil)
	if err != nil || now.opaque {
		return nil, err
	}
	if now.last < want {
		found = append(found, h.lostTail(stream, now.last))
	}
	if h.note == nil || noted.Messages == 0 || !slices.Contains(appended, stream) {
		return found, nil
	}
	if gone := now.first(); gone > noted.First || gone == 0 && now.last >= want {
		trimmed, err := h.mayTrim(stream, noted, now)
		if err != nil {
			return nil, err
		}
		if !trimmed {
			if gone == 0 {
				gone = want + 1
			}
			found = append(found, fmt.Sprintf("its beginning is gone, with %s, and no limit of the stream explains it", span{noted.First, gone - 1}))
		}
	}
	if holes, n := now.holes(); n > noted.deleted() {
		for _, s := range holes[:min(len(holes), mostNamed)] {
			found = append(found, fmt.Sprintf("a part of its middle is gone, with %s", s))
		}
	}
	return found, nil
}

// mayTrim reports whether the oldest messages may have gone by the stream's own limits, or by
// somebody who may remove them through the server.
func (h holding) mayTrim(stream string, noted streamNote, now walked) (bool, error) {
	limits, err := limitsOf(h.path(stream))
	if err != nil {
		return false, err
	}
	switch {
	case limits != noted.streamLimits, limits.MaxMsgs > 0, stream == JobsStream && limits.MaxAge == 0:
		return true, nil // an edge removes what its hub has
	case now.first() == 0:
		return len(now.removed) > 0, nil
	}
	var freed int64
	ends := noted.ends()
	for i, f := range noted.Files {
		if f.First >= now.first() {
			break
		}
		_, err := os.Stat(h.msgs(stream).name(f.Index))
		if err == nil && f.First > 0 && ends[i] >= now.first() {
			return true, nil // the server itself cut the file
		}
		if err != nil && limits.MaxAge > 0 && f.First > 0 && time.Since(f.Time) > limits.MaxAge {
			return true, nil
		}
		freed += f.Size
	}
	if limits.MaxBytes == 0 {
		return false, nil
	}
	size, err := h.msgs(stream).size()
	return size+freed+limits.MaxBytes/8 > limits.MaxBytes, err
}
