package anchor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/durable"
)

// Dir is a folder that holds one file per checkpoint: an anchor on another disk
// or machine. Any number of processes may write to it.
type Dir struct {
	Path string // must exist
}

// Publish writes the checkpoint into a file of its own and returns when it is on disk.
// Publishing it again changes nothing.
func (d Dir) Publish(_ context.Context, cp audit.Checkpoint) error {
	path := d.file(cp)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := durable.WriteFile(path, cp.Note); err != nil {
		return fmt.Errorf("writing checkpoint into folder: %w", err)
	}
	return nil
}

// file is the path of the file that holds a checkpoint.
func (d Dir) file(cp audit.Checkpoint) string { return filepath.Join(d.Path, fileName(cp)) }

// Read returns the checkpoints of a log in the folder, for Verify.
func (d Dir) Read(origin string) ([]audit.Kept, error) {
	names, err := d.names(origin)
	if err != nil {
		return nil, err
	}
	return d.read(names)
}

func (d Dir) read(names []string) ([]audit.Kept, error) {
	var kept []audit.Kept
	for _, name := range names {
		path := filepath.Join(d.Path, name)
		signed, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading folder of checkpoints: %w", err)
		}
		kept = append(kept, audit.Kept{Where: path, Note: signed})
	}
	return kept, nil
}

// Largest gives the checkpoints of a log in the folder to take, the largest first, until it
// takes one. A file that is not what its name says is passed over. The error is what was
// wrong with the first that was passed over or not taken, or that the folder cannot be read.
func (d Dir) Largest(origin string, take func(signed []byte) error) error {
	names, err := d.names(origin)
	if err != nil {
		return err
	}
	var strange error
	for _, name := range slices.Backward(names) {
		err := d.take(name, take)
		if err == nil {
			break
		}
		if strange == nil {
			strange = fmt.Errorf("%s: %w", name, err)
		}
	}
	return strange
}

func (d Dir) take(name string, take func([]byte) error) error {
	signed, err := os.ReadFile(filepath.Join(d.Path, name))
	if err != nil {
		return fmt.Errorf("reading folder of checkpoints: %w", err)
	}
	cp, err := audit.ReadCheckpoint(signed)
	if err == nil && fileName(cp) != name {
		err = fmt.Errorf("%w: it does not match the name of its file", audit.ErrCheckpoint)
	}
	if err != nil {
		return err
	}
	return take(signed)
}

// Newest returns the largest checkpoint of each log in the folder, by the names of the files.
func (d Dir) Newest() ([]audit.Kept, error) {
	names, err := d.names("")
	if err != nil {
		return nil, err
	}
	newest := map[string]string{}
	for _, name := range names { // smallest first
		newest[logOf(name)] = name
	}
	return d.read(slices.Sorted(maps.Values(newest)))
}

// suffixes is the length of what follows the log in the name of a file.
const suffixes = len("-00000000000000000000-0000000000000000.checkpoint")

// fileOf is how the names of the files of a log begin; most file systems allow 255 bytes in all.
func fileOf(origin string) string {
	const longest = 160
	name := url.PathEscape(origin)
	if len(name) > longest {
		sum := sha256.Sum256([]byte(origin))
		name = fmt.Sprintf("%s-%x", name[:longest-33], sum[:16])
	}
	return name
}

// logOf is how the names of all files of a file's log begin.
func logOf(name string) string { return name[:max(len(name)-suffixes, 0)] }

// fileName is the name of the file that holds a checkpoint.
func fileName(cp audit.Checkpoint) string {
	sum := sha256.Sum256(cp.Note)
	return fmt.Sprintf("%s-%020d-%x%s", fileOf(cp.Origin), cp.Tree.N, sum[:8], suffix)
}

// names are the files of a log, or of all, by size, smallest first.
func (d Dir) names(origin string) ([]string, error) {
	entries, err := os.ReadDir(d.Path) // in the order of names, which is that of sizes
	if err != nil {
		return nil, fmt.Errorf("reading folder of checkpoints: %w", err)
	}
	var names []string
	for _, e := range entries {
		if (origin == "" || logOf(e.Name()) == fileOf(origin)) && strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// All calls yield with every file whose name is that of a checkpoint, of any log: its path, its
// log by that name, when it was written, and what is in it or why that cannot be read.
func (d Dir) All(yield func(path, log string, written time.Time, signed []byte, err error)) error {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return fmt.Errorf("reading folder of checkpoints: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		path, written := filepath.Join(d.Path, e.Name()), time.Time{}
		if info, err := e.Info(); err == nil {
			written = info.ModTime()
		}
		signed, err := os.ReadFile(path)
		yield(path, logOf(e.Name()), written, signed, err)
	}
	return nil
}

// suffix ends the name of a checkpoint's file.
const suffix = ".checkpoint"
