package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// CheckpointDir is a folder that holds one file per checkpoint: an anchor on another disk
// or machine. Any number of processes may write to it.
type CheckpointDir struct {
	Path string // must exist
}

// Publish writes the checkpoint into a file of its own and returns when it is on disk.
// Publishing it again changes nothing.
func (d CheckpointDir) Publish(_ context.Context, cp Checkpoint) error {
	sum := sha256.Sum256(cp.Note)
	name := fmt.Sprintf("%s-%020d-%x.checkpoint", url.PathEscape(cp.Origin), cp.Tree.N, sum[:8])
	path := filepath.Join(d.Path, name)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := writeDurably(path, cp.Note); err != nil {
		return fmt.Errorf("writing checkpoint into folder: %w", err)
	}
	return nil
}

// Read returns the checkpoints of a log in the folder, for Verify.
func (d CheckpointDir) Read(origin string) ([]Kept, error) {
	names, err := d.names(origin)
	if err != nil {
		return nil, err
	}
	var kept []Kept
	for _, name := range names {
		path := filepath.Join(d.Path, name)
		signed, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading folder of checkpoints: %w", err)
		}
		kept = append(kept, Kept{Where: path, Note: signed})
	}
	return kept, nil
}

// Last returns the checkpoint of a log in the folder that says to be the largest, for who
// must extend it; nil if there is none.
func (d CheckpointDir) Last(origin string) ([]byte, error) {
	names, err := d.names(origin)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	signed, err := os.ReadFile(filepath.Join(d.Path, names[len(names)-1]))
	if err != nil {
		return nil, fmt.Errorf("reading folder of checkpoints: %w", err)
	}
	return signed, nil
}

// names are the files of a log, by size, smallest first.
func (d CheckpointDir) names(origin string) ([]string, error) {
	entries, err := os.ReadDir(d.Path) // in the order of names, which is that of sizes
	if err != nil {
		return nil, fmt.Errorf("reading folder of checkpoints: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), url.PathEscape(origin)+"-") && strings.HasSuffix(e.Name(), ".checkpoint") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// writeDurably makes a file appear whole, and on disk, or not at all.
func writeDurably(path string, data []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
