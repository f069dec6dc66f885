package sealing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/gofrs/flock"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
)

// ErrLocked is returned while another process writes the checkpoint file.
var ErrLocked = errors.New("another receiver writes it; give each receiver its own")

// Checkpoints is the checkpoint file of one process.
type Checkpoints struct {
	path  string
	lock  *flock.Flock
	file  *anchor.File
	known anchor.Largest
}

// OpenCheckpoints opens the file at path and keeps other processes from writing it.
func OpenCheckpoints(path string) (_ *Checkpoints, err error) {
	c := &Checkpoints{path: path, lock: flock.New(path, flock.SetPermissions(0o600)), known: anchor.Largest{}}
	ok, err := c.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking it: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	}
	if c.file, err = anchor.OpenFile(path, c.known.Add); err != nil {
		return nil, errors.Join(err, c.lock.Unlock())
	}
	return c, nil
}

// Known returns the largest checkpoint of a log that was kept in an earlier life, or nil.
func (c *Checkpoints) Known(origin string) []byte { return c.known[origin].Note }

// Largest returns the largest checkpoint of each log that was kept in an earlier life.
func (c *Checkpoints) Largest() anchor.Largest { return c.known }

// Keep appends a checkpoint, for Options.Keep.
func (c *Checkpoints) Keep(ctx context.Context, cp audit.Checkpoint) error {
	return c.file.Publish(ctx, cp)
}

// ForkSuffix is what the name of a file of proof adds to that of the checkpoint file, before
// digits.
const ForkSuffix = ".fork-"

// Prove keeps the checkpoints of a fork in a file beside the checkpoint file, for
// Options.Prove. A witness's is not known.
func (c *Checkpoints) Prove(fork *audit.ForkError) (where string, err error) {
	sum := sha256.Sum256(append(slices.Clone(fork.Known.Note), fork.Found.Note...))
	where = fmt.Sprintf("%s%s%x", c.path, ForkSuffix, sum[:8])
	file, err := anchor.OpenFile(where, nil)
	if err != nil {
		return "", err
	}
	if file.Last() != nil { // kept in an earlier life
		return where, file.Close()
	}
	for _, cp := range []audit.Checkpoint{fork.Known, fork.Found} {
		if cp.Note != nil {
			err = errors.Join(err, file.Publish(context.Background(), cp))
		}
	}
	return where, errors.Join(err, file.Close())
}

// Close closes the file, and lets others write it.
func (c *Checkpoints) Close() error { return errors.Join(c.file.Close(), c.lock.Unlock()) }
