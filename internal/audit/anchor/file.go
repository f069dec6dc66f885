package anchor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"receiver/internal/audit"
)

// AppendNote appends one signed note to the bytes of a file of notes.
func AppendNote(dst, signed []byte) []byte {
	return append(append(dst, signed...), '\n')
}

// eachNote calls yield with the notes of a file of notes, in order, each valid until the
// next, and returns what is left behind the last whole one. A note ends with the first
// empty line behind a signature line.
func eachNote(file io.Reader, yield func(note []byte) error) (tail []byte, _ error) {
	lines := bufio.NewReaderSize(file, 1<<16)
	var note []byte
	signed := false // the line before is one of a signature
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return append(note, line...), nil
		}
		if err != nil {
			return nil, err
		}
		if !signed || len(line) > 1 {
			note, signed = append(note, line...), bytes.HasPrefix(line, []byte("— "))
			continue
		}
		if err := yield(note); err != nil {
			return nil, err
		}
		note, signed = note[:0], false
	}
}

// File is a local file that checkpoints are appended to and never taken from: an
// anchor against a store that is rolled back. Its methods may be called concurrently, but
// only one process may write a file.
type File struct {
	mu   sync.Mutex
	file *os.File
	size int64 // of the whole notes
	last []byte
}

// OpenFile opens the file for appending, and makes it if there is none. A note
// that a crash left unfinished at the end is removed: its Publish never returned. Each, which
// may be nil, is given every note there is; an error of it is returned, and nothing removed.
func OpenFile(path string, each func(audit.Kept) error) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening checkpoint file: %w", err)
	}
	f := &File{file: file}
	if err := f.mend(path, each); err != nil {
		return nil, errors.Join(fmt.Errorf("opening checkpoint file: %w", err), file.Close())
	}
	return f, nil
}

// mend leaves whole notes only, and remembers the last.
func (f *File) mend(path string, each func(audit.Kept) error) error {
	count := 0
	take := func(note []byte) error {
		count++
		f.size += int64(len(note)) + 1
		f.last = append(f.last[:0], note...)
		if each == nil {
			return nil
		}
		return each(keptIn(path, count, note))
	}
	tail, err := eachNote(f.file, take)
	if err != nil {
		return err
	}
	if _, err := audit.ReadCheckpoint(tail); err == nil { // only the empty line behind it is missing
		if _, err := f.file.WriteString("\n"); err != nil {
			return err
		}
		if err := take(tail); err != nil {
			return err
		}
	} else if err := f.file.Truncate(f.size); err != nil {
		return err
	}
	return f.file.Sync()
}

func keptIn(path string, count int, note []byte) audit.Kept {
	return audit.Kept{Where: fmt.Sprintf("%s, note %d", path, count), Note: bytes.Clone(note)}
}

// Last returns the last checkpoint in the file, not verified; nil if there is none. A Sealer takes
// it as known.
func (f *File) Last() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.last)
}

// Publish appends the checkpoint and returns when it is on disk. One that is already the
// last is not written again.
func (f *File) Publish(_ context.Context, cp audit.Checkpoint) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes.Equal(f.last, cp.Note) {
		return nil
	}
	entry := AppendNote(nil, cp.Note)
	if _, err := f.file.Write(entry); err != nil {
		// A partly written line must not spoil the next one.
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
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// ReadFile returns what a checkpoint file holds, for Verify; an unfinished note at
// its end is left out, whose Publish never returned. That there is no file is fs.ErrNotExist.
func ReadFile(path string) ([]audit.Kept, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint file: %w", err)
	}
	defer file.Close()
	var kept []audit.Kept
	tail, err := eachNote(file, func(note []byte) error {
		kept = append(kept, keptIn(path, len(kept)+1, note))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint file: %w", err)
	}
	if _, err := audit.ReadCheckpoint(tail); err == nil {
		kept = append(kept, keptIn(path, len(kept)+1, tail))
	}
	return kept, nil
}

// Largest is the largest checkpoint of each log in a checkpoint file, by origin.
type Largest map[string]audit.Checkpoint

// Add takes the checkpoint if it is the largest of its log; its signature is not verified.
func (l Largest) Add(k audit.Kept) error {
	cp, err := audit.ReadCheckpoint(k.Note)
	if err != nil {
		return fmt.Errorf("%s: %w; find out why the file changed, then move it away", k.Where, err)
	}
	if there, ok := l[cp.Origin]; !ok || cp.Tree.N >= there.Tree.N {
		l[cp.Origin] = cp
	}
	return nil
}
