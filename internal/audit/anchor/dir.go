package anchor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	path := filepath.Join(d.Path, fileName(cp))
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := durable.WriteFile(path, cp.Note); err != nil {
		return fmt.Errorf("writing checkpoint into folder: %w", err)
	}
	return nil
}

// Read returns the checkpoints of a log in the folder, for Verify.
func (d Dir) Read(origin string) ([]audit.Kept, error) {
	names, err := d.names(origin)
	if err != nil {
		return nil, err
	}
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

// fileName is the name of the file that holds a checkpoint.
func fileName(cp audit.Checkpoint) string {
	sum := sha256.Sum256(cp.Note)
	return fmt.Sprintf("%s-%020d-%x.checkpoint", url.PathEscape(cp.Origin), cp.Tree.N, sum[:8])
}

// names are the files of a log, by size, smallest first.
func (d Dir) names(origin string) ([]string, error) {
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
