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
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return nil, fmt.Errorf("reading folder of checkpoints: %w", err)
	}
	var kept []Kept
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), url.PathEscape(origin)+"-") || !strings.HasSuffix(e.Name(), ".checkpoint") {
			continue
		}
		path := filepath.Join(d.Path, e.Name())
		signed, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading folder of checkpoints: %w", err)
		}
		kept = append(kept, Kept{Where: path, Note: signed})
	}
	return kept, nil
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
