package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// noteEnd ends a note in a file of notes: the newline of its last signature line and an
// empty line.
var noteEnd = []byte("\n\n")

// appendNote appends one signed note to the bytes of a file of notes.
func appendNote(dst, signed []byte) []byte {
	return append(append(dst, signed...), '\n')
}

// cutNote returns the first note in data and what follows the empty line behind it; the
// note ends with the first such line behind a signature line. Without any, the note is all
// of data and not whole.
func cutNote(data []byte) (note, rest []byte, whole bool) {
	for line := 0; line < len(data); {
		n := bytes.IndexByte(data[line:], '\n')
		if n < 0 {
			break
		}
		end := line + n
		if bytes.HasPrefix(data[line:end], []byte("— ")) && bytes.HasPrefix(data[end:], noteEnd) {
			return data[:end+1], data[end+len(noteEnd):], true
		}
		line = end + 1
	}
	return data, nil, false
}

// splitNotes returns the notes of a file of notes, in order, and apart what is left behind
// the last whole one.
func splitNotes(data []byte) (notes [][]byte, tail []byte) {
	for len(data) > 0 {
		note, rest, whole := cutNote(data)
		if !whole {
			return notes, data
		}
		notes = append(notes, note)
		data = rest
	}
	return notes, nil
}

// CheckpointFile is a local file that checkpoints are appended to and never taken from: an
// anchor against a store that is rolled back. Its methods may be called concurrently, but
// only one process may write a file.
type CheckpointFile struct {
	mu   sync.Mutex
	file *os.File
	size int64 // of the whole notes
	last []byte
}

// OpenCheckpointFile opens the file for appending, and makes it if there is none. A note
// that a crash left unfinished at the end is removed: its Publish never returned.
func OpenCheckpointFile(path string) (*CheckpointFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening checkpoint file: %w", err)
	}
	f := &CheckpointFile{file: file}
	if err := f.mend(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening checkpoint file: %w", err), file.Close())
	}
	return f, nil
}

// mend leaves whole notes only, and remembers the last.
func (f *CheckpointFile) mend() error {
	data, err := io.ReadAll(f.file)
	if err != nil {
		return err
	}
	notes, tail := splitNotes(data)
	f.size = int64(len(data) - len(tail))
	if _, err := ReadCheckpoint(tail); err == nil { // only the empty line behind it is missing
		if _, err := f.file.Write(noteEnd[1:]); err != nil {
			return err
		}
		notes = append(notes, tail)
		f.size += int64(len(tail)) + 1
	} else if err := f.file.Truncate(f.size); err != nil {
		return err
	}
	if len(notes) > 0 {
		f.last = bytes.Clone(notes[len(notes)-1])
	}
	return f.file.Sync()
}

// Last returns the last checkpoint in the file, not verified; nil if there is none. It is
// what a Sealer should be told as known.
func (f *CheckpointFile) Last() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.last)
}

// Publish appends the checkpoint and returns when it is on disk. One that is already the
// last is not written again.
func (f *CheckpointFile) Publish(_ context.Context, cp Checkpoint) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes.Equal(f.last, cp.Note) {
		return nil
	}
	entry := appendNote(nil, cp.Note)
	if _, err := f.file.Write(entry); err != nil {
		// What was written of it must not spoil the next one.
		return fmt.Errorf("appending to checkpoint file: %w", errors.Join(err, f.file.Truncate(f.size)))
	}
	f.size += int64(len(entry))
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("writing checkpoint file to disk: %w", err)
	}
	f.last = bytes.Clone(cp.Note)
	return nil
}

// Close closes the file.
func (f *CheckpointFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// ReadCheckpointFile returns what a checkpoint file holds, for Verify; an unfinished note at
// its end is left out, whose Publish never returned. That there is no file is fs.ErrNotExist.
func ReadCheckpointFile(path string) ([]Kept, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint file: %w", err)
	}
	notes, tail := splitNotes(data)
	if _, err := ReadCheckpoint(tail); err == nil {
		notes = append(notes, tail)
	}
	var kept []Kept
	for i, signed := range notes {
		kept = append(kept, Kept{Where: fmt.Sprintf("%s, note %d", path, i+1), Note: signed})
	}
	return kept, nil
}
